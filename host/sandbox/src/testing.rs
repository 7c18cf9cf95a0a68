//! What tests share: grants, fake services, and components written as text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, StringViewArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::grants::Grants;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::{MANIFEST_SECTION, Manifest};
use glovebox_contract::media::MediaType;
use glovebox_contract::reason::ReasonCode;

use crate::arrow_types::columns_to_schema;
use crate::services::{
    BatchStream, Budget, ErrorCode, GuestLog, HostError, LogLevel, OutputSummary, OutputTables,
    QueryEngine, Scalar, ScanOptions, Services, VolumeFiles,
};

pub(crate) fn limits() -> Limits {
    Limits {
        batch_bytes: 1 << 20,
        collaborators: 10,
        component_bytes: 1 << 20,
        cpu_seconds: 10,
        log_bytes: 100,
        memory_bytes: 16 << 20,
        open_files: 16,
        output_bytes: 1 << 20,
        output_rows: 100,
        scratch_bytes: 0,
        threads: 8,
        wall_seconds: 10,
    }
}

/// Grants for one table `air.flights` (a view column and a number) and one output `result`.
pub(crate) fn grants(interfaces: &[&str]) -> Grants {
    let digest = Blake3Digest::of(b"");
    serde_json::from_value(serde_json::json!({
        "component": ContentDigest::of(b""),
        "interfaces": interfaces,
        "limits": limits(),
        "notebook": "test",
        "outputs": {"result": {
            "columns": [
                {"name": "origin", "type": "utf8_view"},
                {"name": "n", "type": "int64", "nullable": false},
            ],
            "max_bytes": 1000,
            "max_rows": 4,
        }},
        "parameters": {"min_group": {"type": "int64", "value": "50"}},
        "revision": digest,
        "room": digest,
        "run": "00112233445566778899aabbccddeeff",
        "started_at": 1_000_000,
        "tables": {"air.flights": [
            {"name": "origin", "type": "utf8_view"},
            {"name": "n", "type": "int64"},
        ]},
        "volumes": {"air.model": {
            "short": {"bytes": 5, "digest": ContentDigest::of(b"12345")},
            "sub/weights": {"bytes": VOLUME_FILE.len(), "digest": ContentDigest::of(VOLUME_FILE)},
        }},
    }))
    .unwrap()
}

/// Content of the file `sub/weights` of the volume `air.model`.
pub(crate) const VOLUME_FILE: &[u8] = b"0123456789";

/// What a run did, as lines.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn services(&self) -> Services {
        Services {
            query: Box::new(FakeQuery(self.clone())),
            outputs: Box::new(FakeOutputs(self.clone(), BTreeMap::new())),
            log: Box::new(FakeLog(self.clone())),
            volumes: Box::new(FakeVolumes),
            memory: Budget::of_run(&grants(&[])),
        }
    }
}

/// The two rows of `air.flights`.
pub(crate) fn flights() -> RecordBatch {
    let columns = grants(&[]).tables().values().next().unwrap().clone();
    let origin: ArrayRef = Arc::new(StringViewArray::from(vec![Some("EWR"), None]));
    let n: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    RecordBatch::try_new(Arc::new(columns_to_schema(&columns)), vec![origin, n]).unwrap()
}

struct FakeQuery(Journal);

struct OneBatch(SchemaRef, Option<RecordBatch>);

impl BatchStream for OneBatch {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, HostError> {
        Ok(self.1.take())
    }
}

impl QueryEngine for FakeQuery {
    fn table_schema(&self, _table: &str) -> Result<SchemaRef, HostError> {
        Ok(flights().schema())
    }

    fn scan(
        &mut self,
        table: &str,
        options: ScanOptions,
    ) -> Result<Box<dyn BatchStream>, HostError> {
        self.0.note(format!("scan {table} {:?}", options.columns));
        Ok(Box::new(OneBatch(flights().schema(), Some(flights()))))
    }

    fn query(
        &mut self,
        statement: &str,
        parameters: &[Scalar],
    ) -> Result<Box<dyn BatchStream>, HostError> {
        self.0.note(format!("query {statement} {parameters:?}"));
        match statement {
            "corrupt" => Err(HostError::new(
                ErrorCode::Internal,
                ReasonCode::InputCorrupt,
                "air.flights is damaged",
            )),
            "refused" => Err(HostError::new(
                ErrorCode::PolicyDenied,
                ReasonCode::SqlRefused,
                "EXPLAIN is not allowed",
            )),
            "panic" => panic!("the engine has a bug"),
            _ => Ok(Box::new(OneBatch(flights().schema(), Some(flights())))),
        }
    }

    fn run_script(&mut self, text: &str, outputs: &mut dyn OutputTables) -> Result<(), HostError> {
        self.0.note(format!("script {text}"));
        match text {
            "write" => {
                outputs.open("result")?;
                outputs.write("result", &flights())?;
                outputs.finish("result").map(drop)
            }
            "write undeclared" => outputs.open("other"),
            "write twice" => outputs.open("result").and_then(|()| outputs.open("result")),
            "write late" => {
                outputs.open("result")?;
                outputs.finish("result")?;
                outputs.write("result", &flights())
            }
            "write too many" => {
                outputs.open("result")?;
                outputs.write("result", &flights())?;
                outputs.write("result", &flights())?;
                outputs.write("result", &flights())
            }
            "write wrong" => {
                outputs.open("result")?;
                outputs.write("result", &flights().project(&[1]).unwrap())
            }
            "write swapped" => {
                outputs.open("result")?;
                outputs.write("result", &flights().project(&[1, 0]).unwrap())
            }
            other => self.query(other, &[]).map(drop),
        }
    }
}

struct FakeOutputs(Journal, BTreeMap<String, u64>);

impl OutputTables for FakeOutputs {
    fn schema(&self, _output: &str) -> Result<SchemaRef, HostError> {
        Ok(flights().schema())
    }

    fn open(&mut self, output: &str) -> Result<(), HostError> {
        self.0.note(format!("open {output}"));
        self.1.insert(output.into(), 0);
        Ok(())
    }

    fn write(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        let types: Vec<_> =
            batch.schema().fields().iter().map(|f| f.data_type().to_string()).collect();
        self.0.note(format!("write {output} {} {}", batch.num_rows(), types.join(" ")));
        *self.1.get_mut(output).unwrap() += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(&mut self, output: &str) -> Result<OutputSummary, HostError> {
        self.0.note(format!("finish {output}"));
        Ok(OutputSummary { rows: self.1[output], bytes: 10 })
    }
}

/// The one file of [`grants`] as it is, and one that has become shorter.
struct FakeVolumes;

impl VolumeFiles for FakeVolumes {
    fn read(
        &self,
        volume: &str,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, HostError> {
        assert_eq!(volume, "air.model");
        let changed = || {
            let reason = ReasonCode::VolumeChanged;
            HostError::new(ErrorCode::Internal, reason, "air.model has changed")
        };
        let bytes = if path == "sub/weights" { VOLUME_FILE } else { &[] };
        let end = usize::try_from(offset + length).unwrap();
        bytes.get(usize::try_from(offset).unwrap()..end).map(<[u8]>::to_vec).ok_or_else(changed)
    }
}

struct FakeLog(Journal);

impl GuestLog for FakeLog {
    fn log(&mut self, level: LogLevel, message: &str) {
        self.0.note(format!("log {level:?} {message}"));
    }

    fn display(&mut self, media_type: MediaType, data: &[u8]) {
        self.0.note(format!("display {media_type} {}", String::from_utf8_lossy(data)));
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.0.note(format!("progress {done} {total:?}"));
    }
}

pub(crate) fn manifest() -> Manifest {
    serde_json::from_value(serde_json::json!({
        "kind": "notebook",
        "language": "wat",
        "name": "test",
        "outputs": {"result": {"columns": [{"name": "n", "type": "int64"}]}},
        "version": "1.0.0",
        "volumes": {"air.model": {}},
    }))
    .unwrap()
}

/// `component` with a custom section at its end.
pub(crate) fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let mut content = leb128(name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    component.push(0);
    component.extend_from_slice(&leb128(content.len()));
    component.extend_from_slice(&content);
    component
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Host functions by short name: interface, function, type in the core module. Results that do
/// not fit a register go to an address that comes last.
const FUNCTIONS: &[(&str, &str, &str, &str)] = &[
    ("log", "logging", "log", "(param i32 i32 i32)"),
    ("display", "logging", "display", "(param i32 i32 i32 i32)"),
    ("script", "script", "run", "(param i32 i32 i32)"),
    ("query", "sql", "query", "(param i32 i32 i32 i32 i32)"),
    ("open-table", "tables", "open-table", "(param i32 i32 i32)"),
    ("scan", "tables", "[method]table.scan", "(param i32 i32)"),
    ("parameter", "parameters", "get", "(param i32 i32 i32)"),
    ("next", "data", "[method]batch-reader.next", "(param i32 i32)"),
    ("reader-schema", "data", "[method]batch-reader.schema", "(param i32) (result i32)"),
    ("num-rows", "data", "[method]record-batch.num-rows", "(param i32) (result i64)"),
    ("columns", "data", "[method]record-batch.columns", "(param i32 i32 i32 i32)"),
    ("slice", "data", "[method]record-batch.slice", "(param i32 i64 i64 i32)"),
    ("drop-batch", "data", "[resource-drop]record-batch", "(param i32)"),
    (
        "from-columns",
        "data",
        "[static]record-batch.from-columns",
        "(param i32 i64 i32 i32 i32 i32 i32)",
    ),
    ("create-schema", "data", "[static]schema.create", "(param i32 i32 i32)"),
    ("open", "outputs", "open-output", "(param i32 i32 i32)"),
    ("write", "outputs", "[method]output.write", "(param i32 i32 i32)"),
    ("open-file", "volumes", "open-file", "(param i32 i32 i32 i32 i32)"),
    ("read-file", "volumes", "[method]file.read", "(param i32 i64 i32 i32)"),
    ("list-files", "volumes", "list-files", "(param i32 i32 i32)"),
    ("finish", "outputs", "[static]output.finish", "(param i32 i32)"),
    ("drop-output", "outputs", "[resource-drop]output", "(param i32)"),
];

/// A guest from WebAssembly text. `uses` names host functions of [`FUNCTIONS`]; `code` is the body
/// of the module and defines `run`, whose result is the address of a `result<_, error>`. Addresses
/// below 4096 are the code's; `$ok` is an address that holds zeros, which is the result "ok".
/// The texts at the addresses of [`texts`] are there.
pub(crate) fn guest(uses: &[&str], code: &str) -> Vec<u8> {
    let imports: String = uses
        .iter()
        .map(|name| {
            let (_, interface, function, signature) =
                FUNCTIONS.iter().find(|(short, ..)| short == name).expect(name);
            format!(
                r#"(import "glovebox:guest/{interface}@0.1.0" "{function}" (func ${name} {signature}))"#
            )
        })
        .collect();
    let texts = texts::DATA;
    encode_component(&format!(
        r#"(module
    {imports}
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (global $ok i32 (i32.const 4096))
    {texts}
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    {code})"#
    ))
}

/// Texts in a guest's memory, as `address length`.
pub(crate) mod texts {
    pub(crate) const DATA: &str = r#"
        (data (i32.const 5000) "result")
        (data (i32.const 5010) "air.flights")
        (data (i32.const 5030) "SELECT")
        (data (i32.const 5040) "other")
        (data (i32.const 5050) "origin")
        (data (i32.const 5060) "n")
        (data (i32.const 5070) "utf8")
        (data (i32.const 5080) "int64")
        (data (i32.const 5090) "no luck\1b[2J")
        (data (i32.const 5110) "corrupt")
        (data (i32.const 5120) "refused")
        (data (i32.const 5130) "panic")
        (data (i32.const 5140) "air.model")
    "#;
}

/// A core module of the world `notebook` (and `sql-notebook`) as a component with a manifest.
fn encode_component(module: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/wit")).unwrap();
    let package = resolve
        .push_str(
            "test.wit",
            "package test:guest; world guest {
                include glovebox:guest/notebook@0.1.0;
                import glovebox:guest/script@0.1.0;
            }",
        )
        .unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .unwrap();
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap();
    with_manifest(component)
}

/// `component` with the manifest of a test.
pub(crate) fn with_manifest(component: Vec<u8>) -> Vec<u8> {
    let manifest = glovebox_contract::canonical::encode(&manifest()).unwrap();
    with_section(component, MANIFEST_SECTION, &manifest)
}
