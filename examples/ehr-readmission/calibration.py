# /// glovebox
# name = "calibration"
# version = "1.0.0"
# description = """
# How well the predicted risks agree with what happened, by fifths of the patients, for the lab.
# Fifths with fewer than :k readmitted patients stay with the hospital."""
#
# [inputs."hospital.risks"]
# columns = { patient = "utf8", risk = "float64", readmitted = "boolean" }
#
# [parameters.k]
# type = "int64"
# description = "Fewest readmitted patients in a fifth that leaves the room."
# default = 10
# minimum = 10
#
# [outputs.quality]
# description = "How often a readmitted patient has a higher risk than another."
# max_rows = 1
# columns = ["patients int64 not null", "readmitted int64 not null", "auc float64 not null"]
#
# [outputs.calibration]
# max_rows = 5
# columns = ["fifth int64 not null", "patients int64 not null", "predicted float64 not null", "observed float64 not null"]
# ///

# %%
import math
from bisect import bisect_left, bisect_right

import glovebox

PATIENTS = "SELECT risk, readmitted FROM hospital.risks ORDER BY risk, patient"
columns = glovebox.sql(PATIENTS).to_pydict()
risks, readmitted = columns["risk"], columns["readmitted"]

# %%
# How many of the others each readmitted patient beats; a tie counts half.
others = [risk for risk, came_back in zip(risks, readmitted) if not came_back]
beaten = [
    (bisect_left(others, risk) + bisect_right(others, risk)) / 2
    for risk, came_back in zip(risks, readmitted)
    if came_back
]
if len(beaten) < glovebox.param("k") or not others:
    raise ValueError("too few readmitted patients to say anything")
quality = {"patients": len(risks), "readmitted": len(beaten), "auc": math.fsum(beaten) / len(beaten) / len(others)}
glovebox.output("quality").write([quality])

# %%
fifths = []
for fifth in range(5):
    places = [place for place in range(len(risks)) if place * 5 // len(risks) == fifth]
    came_back = sum(readmitted[place] for place in places)
    if came_back >= glovebox.param("k"):
        fifths.append({
            "fifth": fifth + 1,
            "patients": len(places),
            "predicted": math.fsum(risks[place] for place in places) / len(places),
            "observed": came_back / len(places),
        })
glovebox.output("calibration").write(fifths)
fifths
