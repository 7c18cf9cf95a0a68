# /// glovebox
# name = "score-python"
# version = "1.0.0"
# [inputs."a.t"]
# columns = { recency = "int64", spend = "float64" }
# [outputs.total]
# columns = ["total float64"]
# ///

# %%
import math

import glovebox

total = 0.0
for batch in glovebox.table("a.t").scan(columns=["recency", "spend"]):
    for recency, spend in zip(batch.column("recency"), batch.column("spend")):
        total += math.sqrt(spend) / (1.0 + recency / 30.0)
glovebox.output("total").write([{"total": total}])
