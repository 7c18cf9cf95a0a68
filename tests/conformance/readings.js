/* glovebox notebook
name = "readings-javascript"
version = "1.0.0"
description = "Readings by site"

[inputs."lab.readings"]
columns = { site = "utf8", day = "date32", value = "float64", amount = "int32", ok = "boolean" }

[parameters.least]
type = "float64"
description = "Values from here on count as high"

[outputs.summary]
columns = [
    "site utf8",
    "n int64 not null",
    "first_day date32",
    "last_day date32",
    "total float64",
    "mean float64",
    "largest int32",
    "good int64 not null",
    "high int64 not null",
]
*/

// Readings by site: the same as the other notebooks in this directory.

import { output, param, sql, table } from "glovebox";

export default function () {
  const groups = new Map();
  const group = (site) => {
    if (!groups.has(site)) {
      groups.set(site, { n: 0, values: 0, total: 0, good: 0, high: 0n,
        first: null, last: null, largest: null });
    }
    return groups.get(site);
  };
  const columns = ["site", "day", "value", "amount", "ok"];
  for (const batch of table("lab.readings").scan({ columns })) {
    const [sites, days, values, amounts, oks] = columns.map((name) => batch.column(name));
    for (let row = 0; row < batch.numRows; row += 1) {
      const into = group(sites.get(row));
      into.n += 1;
      if (!days.isNull(row)) {
        const day = days.values[row];
        into.first = Math.min(into.first ?? day, day);
        into.last = Math.max(into.last ?? day, day);
      }
      if (!values.isNull(row)) {
        into.values += 1;
        into.total += values.values[row];
      }
      if (!amounts.isNull(row)) {
        into.largest = Math.max(into.largest ?? amounts.values[row], amounts.values[row]);
      }
      into.good += oks.get(row) === true ? 1 : 0;
    }
  }
  const statement = "SELECT site, count(*) AS n FROM lab.readings WHERE value >= :least GROUP BY site";
  for (const { site, n } of sql(statement, { least: param("least") }).rows()) {
    group(site).high = n;
  }
  const sites = [...groups.keys()].filter((site) => site !== null).sort();
  for (const site of groups.has(null) ? [...sites, null] : sites) {
    const { n, values, total, good, high, first, last, largest } = groups.get(site);
    output("summary").write({ site, n, first_day: first, last_day: last,
      total: values > 0 ? total : null, mean: values > 0 ? total / values : null,
      largest, good, high });
  }
}
