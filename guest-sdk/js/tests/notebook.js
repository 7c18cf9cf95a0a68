/* glovebox notebook
name = "totals"
version = "1.0.0"
*/
import { log, output, param, progress, sql, table, display } from "glovebox";

export default async function (room) {
  const totals = new Map();
  for (const batch of table("a.t").scan({ columns: ["k", "v"] })) {
    const [keys, values] = [batch.column("k"), batch.column("v").values];
    for (let row = 0; row < batch.numRows; row += 1) {
      totals.set(keys.get(row), (totals.get(keys.get(row)) ?? 0n) + values[row]);
    }
  }
  const [{ n }] = sql("SELECT count(*) AS n FROM a.t WHERE v >= :least", { least: param("least") }).rows();
  log.info("counted", n);
  progress(1, 2);
  display("text/csv", "k,v\n");
  room.output("totals").write({ k: [...totals.keys()], v: BigInt64Array.from(totals.values()) });
  output("counts").write({ n });
}
