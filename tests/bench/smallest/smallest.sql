/* glovebox notebook
name = "smallest-sql"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64" }
[outputs.one]
columns = ["n int64"]
*/
CREATE TABLE output.one AS SELECT v AS n FROM a.t;
