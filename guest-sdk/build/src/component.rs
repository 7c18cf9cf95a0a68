//! Components: the core module of SQL notebooks, the wrapping, the sections that describe.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::manifest::{MANIFEST_SECTION, Manifest, SOURCE_SECTION};
use serde::Serialize;
use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataSection, Encode as _, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, RawSection, Section as _, TypeSection, ValType,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, SourceMap};

use crate::error::BuildError;

/// The WIT package `glovebox:guest`, file by file.
pub(crate) const WIT: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../wit/types.wit")),
    ("data.wit", include_str!("../../wit/data.wit")),
    ("capabilities.wit", include_str!("../../wit/capabilities.wit")),
    ("worlds.wit", include_str!("../../wit/worlds.wit")),
];

/// A component that was just built.
#[derive(Clone, PartialEq, Eq)]
pub struct Component {
    bytes: Vec<u8>,
    manifest: Manifest,
    digest: ContentDigest,
}

impl Component {
    /// Adds the manifest and, unless hidden, the source to an encoded component.
    pub(crate) fn new(
        mut bytes: Vec<u8>,
        manifest: Manifest,
        source: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, BuildError> {
        append_section(&mut bytes, MANIFEST_SECTION, &manifest)?;
        if let Some(source) = source {
            append_section(&mut bytes, SOURCE_SECTION, source)?;
        }
        let digest = ContentDigest::of(&bytes);
        Ok(Self { bytes, manifest, digest })
    }

    /// The component, ready to be written to a `.wasm` file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The component, ready to be written to a `.wasm` file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The digests that name it.
    pub fn digest(&self) -> &ContentDigest {
        &self.digest
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, digest) = (&self.manifest.name, &self.digest);
        write!(f, "Component({name}, {} bytes, {digest})", self.bytes.len())
    }
}

fn append_section<T: Serialize>(
    bytes: &mut Vec<u8>,
    name: &str,
    value: &T,
) -> Result<(), BuildError> {
    let json = glovebox_contract::canonical::encode(value)
        .map_err(|error| BuildError::new(format!("section `{name}` cannot be encoded: {error}")))?;
    let section = CustomSection { name: name.into(), data: Cow::Owned(json) };
    bytes.push(section.id());
    section.encode(bytes);
    Ok(())
}

/// The custom section `name` at the outer level of a component; none when there are two of them.
pub(crate) fn custom_section<'a>(component: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section)
                if depth == 1
                    && section.name() == name
                    && found.replace(section.data()).is_some() =>
            {
                return None;
            }
            _ => {}
        }
    }
    found
}

/// Encodes a core module that carries component-type metadata, and validates the result.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let module = with_sorted_custom_sections(module)?;
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| BuildError::new(format!("the module is not a notebook: {error:#}")))
}

/// The module with its custom sections at its end, in order of their names and contents. The
/// linker leaves them in an order that may follow from hashes of paths, and the component's
/// imports and exports take that order.
fn with_sorted_custom_sections(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let damaged = |error: wasmparser::BinaryReaderError| {
        BuildError::new(format!("the compiler made a damaged module: {error}"))
    };
    let mut sorted = Module::new();
    let mut custom = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(damaged)?;
        if let Payload::CustomSection(section) = &payload {
            custom.insert((section.name().to_owned(), section.data()));
        } else if let Some((id, range)) = payload.as_section()
            && let Some(data) = module.get(range)
        {
            sorted.section(&RawSection { id, data });
        }
    }
    for (name, data) in custom {
        sorted.section(&CustomSection { name: name.into(), data: data.into() });
    }
    Ok(sorted.finish())
}

/// A component of world `sql-notebook` that passes `text` to the host.
pub(crate) fn wrap_script(text: &str) -> Result<Vec<u8>, BuildError> {
    let mut module = script_module(text)?;
    embed_world(&mut module, "sql-notebook")?;
    encode(&module)
}

/// Adds to a core module what its imports and exports mean: those of a world of ours.
pub(crate) fn embed_world(module: &mut Vec<u8>, world: &str) -> Result<(), BuildError> {
    let internal = |error: String| BuildError::new(format!("the wrapper is broken: {error}"));
    let (resolve, package) = wit_package().map_err(internal)?;
    let world = resolve
        .select_world(&[package], Some(world))
        .map_err(|error| internal(error.to_string()))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| internal(format!("{error:#}")))
}

fn wit_package() -> Result<(Resolve, PackageId), String> {
    let mut sources = SourceMap::default();
    for (path, text) in WIT {
        sources.push_str(path, text);
    }
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::new();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    Ok((resolve, package))
}

/// Where `script.run` leaves its result, which `run` returns: `result<_, error>` is 16 bytes.
const RESULT_ADDRESS: i32 = 16;
/// Where the text starts. Fresh memory for the host starts behind the text.
const TEXT_ADDRESS: i32 = 32;
const PAGE_BYTES: u64 = 1 << 16;

// Indices in the module below.
const SCRIPT_RUN: u32 = 0;
const RUN: u32 = 1;
const REALLOC: u32 = 2;

/// The core module of every SQL notebook. Only the text, its length and the sizes that follow
/// from it differ from notebook to notebook.
fn script_module(text: &str) -> Result<Vec<u8>, BuildError> {
    let length = i32::try_from(text.len())
        .map_err(|_| BuildError::new("the notebook is larger than a component can be"))?;
    let end = TEXT_ADDRESS + length;

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 3], []);
    types.ty().function([], [ValType::I32]);
    types.ty().function([ValType::I32; 4], [ValType::I32]);

    let mut imports = ImportSection::new();
    imports.import("glovebox:guest/script@0.1.0", "run", EntityType::Function(0));

    let mut functions = FunctionSection::new();
    functions.function(1);
    functions.function(2);

    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: u64::try_from(end).unwrap_or(0).div_ceil(PAGE_BYTES),
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });

    let mut globals = GlobalSection::new();
    let next_free = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(next_free, &ConstExpr::i32_const(end));

    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("cabi_realloc", ExportKind::Func, REALLOC);
    exports.export("glovebox:guest/run@0.1.0#run", ExportKind::Func, RUN);

    let mut run = Function::new([]);
    run.instructions()
        .i32_const(TEXT_ADDRESS)
        .i32_const(length)
        .i32_const(RESULT_ADDRESS)
        .call(SCRIPT_RUN)
        .i32_const(RESULT_ADDRESS)
        .end();
    let mut code = CodeSection::new();
    code.function(&run);
    code.function(&realloc());

    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(TEXT_ADDRESS), text.bytes());

    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code)
        .section(&data);
    Ok(module.finish())
}

/// `cabi_realloc(old, old_size, align, new_size)` that never frees: one run, one message.
fn realloc() -> Function {
    let (old, old_size, align, new_size) = (0, 1, 2, 3);
    let (start, end, missing) = (4, 5, 6);
    let mut function = Function::new([(1, ValType::I32), (1, ValType::I64), (1, ValType::I64)]);
    function
        .instructions()
        // start = (next_free + align - 1) & -align
        .global_get(0)
        .local_get(align)
        .i32_add()
        .i32_const(1)
        .i32_sub()
        .i32_const(0)
        .local_get(align)
        .i32_sub()
        .i32_and()
        .local_tee(start)
        // end = start + new_size, in 64 bits so that it cannot wrap
        .i64_extend_i32_u()
        .local_get(new_size)
        .i64_extend_i32_u()
        .i64_add()
        .local_tee(end)
        // missing = pages up to end - pages there are
        .i64_const(PAGE_BYTES as i64 - 1)
        .i64_add()
        .i64_const(16)
        .i64_shr_u()
        .memory_size(0)
        .i64_extend_i32_u()
        .i64_sub()
        .local_tee(missing)
        .i64_const(0)
        .i64_gt_s()
        .if_(wasm_encoder::BlockType::Empty)
        .local_get(missing)
        .i32_wrap_i64()
        .memory_grow(0)
        .i32_const(-1)
        .i32_eq()
        .if_(wasm_encoder::BlockType::Empty)
        .unreachable()
        .end()
        .end()
        .local_get(end)
        .i32_wrap_i64()
        .global_set(0)
        // Copy what was there: min(old_size, new_size) bytes.
        .local_get(start)
        .local_get(old)
        .local_get(old_size)
        .local_get(new_size)
        .local_get(old_size)
        .local_get(new_size)
        .i32_lt_u()
        .select()
        .memory_copy(0, 0)
        .local_get(start)
        .end();
    function
}
