/* glovebox notebook
name = "smallest-javascript"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64" }
[outputs.one]
columns = ["n int64"]
*/

import { log, output } from "glovebox";

export default function () {
  log.info("first line");
  output("one").write({ n: 1n });
}
