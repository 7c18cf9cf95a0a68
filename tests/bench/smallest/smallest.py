# /// glovebox
# name = "smallest-python"
# version = "1.0.0"
# [inputs."a.t"]
# columns = { v = "int64" }
# [outputs.one]
# columns = ["n int64"]
# ///

# %%
import glovebox

glovebox.log.info("first line")
glovebox.output("one").write([{"n": 1}])
