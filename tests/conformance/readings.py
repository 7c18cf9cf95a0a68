# /// glovebox
# name = "readings-python"
# version = "1.0.0"
# description = "Readings by site"
#
# [inputs."lab.readings"]
# columns = { site = "utf8", day = "date32", value = "float64", amount = "int32", ok = "boolean" }
#
# [parameters.least]
# type = "float64"
# description = "Values from here on count as high"
#
# [outputs.summary]
# columns = [
#     "site utf8",
#     "n int64 not null",
#     "first_day date32",
#     "last_day date32",
#     "total float64",
#     "mean float64",
#     "largest int32",
#     "good int64 not null",
#     "high int64 not null",
# ]
# ///

# %%
# Readings by site: the same as the other notebooks in this directory.
import glovebox

groups = {}


def group(site):
    return groups.setdefault(
        site, {"n": 0, "total": None, "values": 0, "first": None, "last": None, "largest": None,
               "good": 0, "high": 0})


def pick(choose, old, new):
    return new if old is None else choose(old, new)


# %%
COLUMNS = ["site", "day", "value", "amount", "ok"]
for batch in glovebox.table("lab.readings").scan(columns=COLUMNS):
    columns = [batch.column(name).to_pylist() for name in COLUMNS]
    for site, day, value, amount, ok in zip(*columns):
        into = group(site)
        into["n"] += 1
        if day is not None:
            into["first"] = pick(min, into["first"], day)
            into["last"] = pick(max, into["last"], day)
        if value is not None:
            into["total"] = (into["total"] or 0.0) + value
            into["values"] += 1
        if amount is not None:
            into["largest"] = pick(max, into["largest"], amount)
        into["good"] += ok is True

# %%
HIGH = "SELECT site, count(*) AS n FROM lab.readings WHERE value >= :least GROUP BY site"
for row in glovebox.sql(HIGH, least=glovebox.param("least")).rows():
    group(row["site"])["high"] = row["n"]

# %%
glovebox.output("summary").write([
    {
        "site": site,
        "n": found["n"],
        "first_day": found["first"],
        "last_day": found["last"],
        "total": found["total"],
        "mean": None if found["total"] is None else found["total"] / found["values"],
        "largest": found["largest"],
        "good": found["good"],
        "high": found["high"],
    }
    for site, found in sorted(groups.items(), key=lambda item: (item[0] is None, item[0] or ""))
])
