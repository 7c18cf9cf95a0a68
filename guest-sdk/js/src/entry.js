// The component: the host's interfaces on one side, the notebook on the other. `asked.js` has the
// interfaces that not every notebook imports; the build writes it.

import { RecordBatch, Schema } from "glovebox:guest/data@0.1.0";
import * as logging from "glovebox:guest/logging@0.1.0";
import { openOutput } from "glovebox:guest/outputs@0.1.0";
import * as parameters from "glovebox:guest/parameters@0.1.0";
import { query } from "glovebox:guest/sql@0.1.0";
import { openTable } from "glovebox:guest/tables@0.1.0";
import * as asked from "./asked.js";
import * as notebook from "./notebook.js";
import { log } from "./glovebox.js";
import * as runner from "./run.js";

// Known at build time, before anybody reviews the notebook.
runner.check(notebook);

const host = {
  ...logging,
  ...asked,
  RecordBatch,
  Schema,
  openOutput,
  openTable,
  query,
  getParameter: parameters.get,
  allParameters: parameters.all,
};

// Nothing else reads the console of a component.
Object.assign(console, log, { log: log.info });

export const run = {
  async run() {
    try {
      await runner.run(notebook, host);
    } catch (error) {
      throw { payload: runner.report(error, logging.log) };
    }
  },
};
