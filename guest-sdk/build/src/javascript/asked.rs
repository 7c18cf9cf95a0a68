//! The interfaces that not every notebook imports.
//!
//! The engine imports all of its world, used or not, so the world has what the notebook uses: its
//! import list tells a reviewer something.

use glovebox_contract::manifest::Manifest;

/// The function of the module `glovebox` that needs `context`. A notebook that uses it names it.
const CURRENT_RUN: &str = "currentRun";

/// What a notebook asks for beyond tables, queries, parameters, outputs and log.
pub(super) struct Asked {
    context: bool,
    volumes: bool,
}

impl Asked {
    pub(super) fn of(source: &str, manifest: &Manifest) -> Self {
        Self { context: source.contains(CURRENT_RUN), volumes: !manifest.volumes.is_empty() }
    }

    /// A world of our WIT package.
    pub(super) fn world(&self) -> String {
        let mut imports = vec!["parameters", "data", "tables", "sql", "outputs", "logging"];
        imports.extend(self.context.then_some("context"));
        imports.extend(self.volumes.then_some("volumes"));
        let imports: String = imports.iter().map(|name| format!("  import {name};\n")).collect();
        format!(
            "/// What a notebook in JavaScript imports.\nworld javascript-notebook {{\n{imports}  export run;\n}}\n"
        )
    }

    /// The module `asked.js`.
    pub(super) fn module(&self) -> String {
        let mut text = String::from("export {};\n");
        if self.context {
            text += "export { currentRun } from \"glovebox:guest/context@0.1.0\";\n";
        }
        if self.volumes {
            text += "export { listFiles, openFile } from \"glovebox:guest/volumes@0.1.0\";\n";
        }
        text
    }
}
