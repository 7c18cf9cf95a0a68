//! What a component says and needs, read from its bytes without compiling it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use glovebox_contract::canonical;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::library::{HOST_PACKAGE, LIBRARY_INTERFACES};
use glovebox_contract::manifest::{MANIFEST_SECTION, Manifest, SOURCE_SECTION};
use glovebox_contract::statement::NotebookAsset;
use wasmparser::{
    CanonicalFunction, CanonicalOption, Encoding, FunctionBody, Parser, Payload, TableInit, TypeRef,
};

use crate::admission::{
    AdmissionError, FUNCTION_INTERFACES, MAX_CORE_MODULES, MAX_FUNCTIONS, MAX_LOCALS,
    MAX_MANIFEST_BYTES, MAX_MEMORIES, MAX_NAMES, MAX_NESTED_COMPONENTS, MAX_SOURCE_BYTES,
    MAX_TABLE_ELEMENTS, RUN_INTERFACE,
};
use crate::interfaces;

/// Bytes of a page of linear memory.
const PAGE: u64 = 64 * 1024;

/// Everything a reviewer can learn from a component's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Its digests.
    pub digest: ContentDigest,
    /// Its size.
    pub bytes: u64,
    /// Digest of all of it but the manifest and the source: two components with the same code do
    /// the same, whatever they say.
    pub code: Blake3Digest,
    /// Imported interfaces, such as `glovebox:guest/tables@0.1.0`: all that it can do.
    pub imports: BTreeSet<String>,
    /// Exported interfaces.
    pub exports: BTreeSet<String>,
    /// The world of `glovebox:guest` that it fits, if any.
    pub world: Option<String>,
    /// Its manifest, checked.
    pub manifest: Option<Manifest>,
    /// Its source, path to text; empty when hidden.
    pub source: BTreeMap<String, String>,
    /// Core modules inside.
    pub core_modules: usize,
    /// Functions of all core modules.
    pub functions: u64,
    /// Bytes of linear memory that it starts with.
    pub memory_bytes: u64,
}

impl Inspection {
    /// What a room knows of a hidden notebook that its author alone may read. Whether the code is
    /// that of another, only the digests of the components tell.
    pub fn unread(asset: &NotebookAsset) -> Self {
        Self {
            digest: asset.component,
            bytes: asset.component_bytes,
            code: asset.component.blake3,
            imports: asset.interfaces.clone(),
            exports: BTreeSet::new(),
            world: None,
            manifest: Some(asset.manifest.clone()),
            source: BTreeMap::new(),
            core_modules: 0,
            functions: 0,
            memory_bytes: 0,
        }
    }
}

/// Reads a component.
///
/// # Errors
/// When the bytes are no component, or one that is refused whatever it is granted: a string
/// encoding other than UTF-8, asynchronous functions, too many parts, a manifest that is not
/// canonical or makes no sense, a name that is not plain.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, AdmissionError> {
    inspect_parts(bytes, 1)
}

/// Reads a component that was composed of `parts` components: it may have that many times what
/// one may have.
pub(crate) fn inspect_parts(bytes: &[u8], parts: u64) -> Result<Inspection, AdmissionError> {
    let mut reader = Reader { parts, ..Reader::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        reader.payload(payload.map_err(damaged)?)?;
    }
    let world = world_of(&reader.imports, &reader.exports);
    Ok(Inspection {
        digest: ContentDigest::of(bytes),
        bytes: bytes.len() as u64,
        code: code_digest(bytes, &reader.descriptive),
        imports: reader.imports,
        exports: reader.exports,
        world,
        manifest: reader.manifest,
        source: reader.source.unwrap_or_default(),
        core_modules: reader.core_modules,
        functions: reader.functions,
        memory_bytes: reader.memory_bytes,
    })
}

/// The digest of `bytes` without these ranges, which are in order.
fn code_digest(bytes: &[u8], descriptive: &[Range<usize>]) -> Blake3Digest {
    let mut code = Vec::with_capacity(bytes.len());
    let mut next = 0;
    for range in descriptive {
        code.extend_from_slice(bytes.get(next..range.start).unwrap_or_default());
        next = range.end;
    }
    code.extend_from_slice(bytes.get(next..).unwrap_or_default());
    Blake3Digest::of(&code)
}

fn damaged(error: impl std::fmt::Display) -> AdmissionError {
    AdmissionError::refused(format!("not a well-formed component: {error}"))
}

fn world_of(imports: &BTreeSet<String>, exports: &BTreeSet<String>) -> Option<String> {
    let within = |allowed: &[&str]| {
        let of_host = imports.iter().filter(|name| name.starts_with(HOST_PACKAGE));
        of_host.into_iter().all(|name| allowed.contains(&name.as_str()))
    };
    let world = if !exports.contains(RUN_INTERFACE) {
        // Functions alone have worlds of their own; a library with an interface may offer them too.
        let functions = FUNCTION_INTERFACES.map(|(name, world)| (exports.contains(name), world));
        let others = exports.iter().any(|name| !name.starts_with(HOST_PACKAGE));
        match functions.iter().filter(|(offered, _)| *offered).collect::<Vec<_>>().as_slice() {
            _ if !within(&LIBRARY_INTERFACES) || exports.is_empty() => return None,
            [(_, world)] if !others => world,
            _ => "library",
        }
    } else if imports.is_empty() {
        "notebook"
    } else if within(interfaces::SQL_NOTEBOOK) {
        "sql-notebook"
    } else if within(interfaces::NOTEBOOK) {
        "notebook"
    } else {
        return None;
    };
    Some(format!("{HOST_PACKAGE}{world}@0.1.0"))
}

#[derive(Default)]
struct Reader {
    /// Components that this one was composed of.
    parts: u64,
    /// Components and modules that are open at this point; 1 inside the outermost component.
    depth: usize,
    nested_components: usize,
    core_modules: usize,
    functions: u64,
    memories: u64,
    /// Memories of the core module that is read, imported ones included.
    module_memories: u64,
    memory_bytes: u64,
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    manifest: Option<Manifest>,
    source: Option<BTreeMap<String, String>>,
    /// Where the manifest and the source are, their headers included.
    descriptive: Vec<Range<usize>>,
    /// Where the outermost section before this one ends.
    section_end: usize,
}

impl Reader {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), AdmissionError> {
        self.note_place(&payload);
        match payload {
            Payload::Version { encoding, .. } => {
                if self.depth == 0 && encoding != Encoding::Component {
                    return Err(AdmissionError::refused(
                        "this is a core WebAssembly module, not a component",
                    ));
                }
                self.depth += 1;
                self.module_memories = 0;
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import.map_err(damaged)?.ty, TypeRef::Memory(_)) {
                        self.one_memory()?;
                    }
                }
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ModuleSection { .. } => {
                self.core_modules += 1;
                let most = self.times(MAX_CORE_MODULES as u64);
                at_most(self.core_modules as u64, most, "core modules")?;
            }
            Payload::ComponentSection { .. } => {
                self.nested_components += 1;
                // The parts themselves are nested in what they are composed to.
                let most = self.times(MAX_NESTED_COMPONENTS as u64 + 1).saturating_sub(1);
                at_most(self.nested_components as u64, most, "nested components")?;
            }
            Payload::FunctionSection(functions) => {
                self.functions += u64::from(functions.count());
                at_most(self.functions, self.times(MAX_FUNCTIONS), "functions")?;
            }
            Payload::CodeSectionEntry(body) => check_locals(&body)?,
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory.map_err(damaged)?;
                    self.one_memory()?;
                    self.memories += 1;
                    self.memory_bytes =
                        self.memory_bytes.saturating_add(memory.initial.saturating_mul(PAGE));
                }
                at_most(self.memories, self.times(MAX_MEMORIES), "memories")?;
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table.map_err(damaged)?;
                    if !matches!(table.init, TableInit::RefNull) {
                        return Err(AdmissionError::refused("a table with an initial value"));
                    }
                    at_most(table.ty.initial, MAX_TABLE_ELEMENTS, "elements in a table")?;
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    check_canonical(&function.map_err(damaged)?)?;
                }
            }
            Payload::ComponentImportSection(imports) if self.depth == 1 => {
                for import in imports {
                    let name = plain_name(import.map_err(damaged)?.name.name)?;
                    self.imports.insert(name);
                }
                at_most(self.imports.len() as u64, MAX_NAMES as u64, "imports")?;
            }
            Payload::ComponentExportSection(exports) if self.depth == 1 => {
                for export in exports {
                    let name = plain_name(export.map_err(damaged)?.name.name)?;
                    self.exports.insert(name);
                }
                at_most(self.exports.len() as u64, MAX_NAMES as u64, "exports")?;
            }
            Payload::CustomSection(section) if self.depth == 1 => {
                self.custom_section(section.name(), section.data())?;
            }
            Payload::ComponentStartSection { .. } => {
                return Err(AdmissionError::refused("the component has a start function"));
            }
            Payload::UnknownSection { id, .. } => {
                return Err(AdmissionError::refused(format!("unknown section {id}")));
            }
            _ => {}
        }
        Ok(())
    }

    /// Remembers where the sections lie that only describe.
    fn note_place(&mut self, payload: &Payload<'_>) {
        let range = match payload {
            Payload::Version { range, .. } if self.depth == 0 => range.clone(),
            _ if self.depth == 1 => match payload.as_section() {
                Some((_, range)) => range,
                None => return,
            },
            _ => return,
        };
        if let Payload::CustomSection(section) = payload
            && [MANIFEST_SECTION, SOURCE_SECTION].contains(&section.name())
        {
            self.descriptive.push(self.section_end..range.end);
        }
        self.section_end = range.end;
    }

    /// Counts a memory of the module that is read. More than one is the engine's own business.
    fn one_memory(&mut self) -> Result<(), AdmissionError> {
        self.module_memories += 1;
        at_most(self.module_memories, 1, "memory in a module")
    }

    fn times(&self, of_a_part: u64) -> u64 {
        of_a_part.saturating_mul(self.parts)
    }

    fn custom_section(&mut self, name: &str, data: &[u8]) -> Result<(), AdmissionError> {
        match name {
            MANIFEST_SECTION => {
                let manifest: Manifest =
                    canonical::decode(data, MAX_MANIFEST_BYTES).map_err(|error| {
                        AdmissionError::refused(format!("manifest section: {error}"))
                    })?;
                manifest.validate().map_err(|error| AdmissionError::refused(error.to_string()))?;
                if self.manifest.replace(manifest).is_some() {
                    return Err(AdmissionError::refused("two manifest sections"));
                }
            }
            SOURCE_SECTION => {
                let source = canonical::decode(data, MAX_SOURCE_BYTES)
                    .map_err(|error| AdmissionError::refused(format!("source section: {error}")))?;
                if self.source.replace(source).is_some() {
                    return Err(AdmissionError::refused("two source sections"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn at_most(count: u64, limit: u64, what: &str) -> Result<(), AdmissionError> {
    if count > limit {
        return Err(AdmissionError::refused(format!("more than {limit} {what}")));
    }
    Ok(())
}

fn check_locals(body: &FunctionBody<'_>) -> Result<(), AdmissionError> {
    let mut total = 0_u64;
    for locals in body.get_locals_reader().map_err(damaged)? {
        total += u64::from(locals.map_err(damaged)?.0);
        at_most(total, MAX_LOCALS, "locals in a function")?;
    }
    Ok(())
}

fn check_canonical(function: &CanonicalFunction) -> Result<(), AdmissionError> {
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => return Ok(()),
        // Threads, tasks, streams and futures.
        _ => return Err(AdmissionError::refused("asynchronous or threaded functions")),
    };
    options.iter().try_for_each(|option| match option {
        // Converting between encodings is where RUSTSEC-2026-0091 to -0093 were.
        CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => {
            Err(AdmissionError::refused("a string encoding other than UTF-8"))
        }
        CanonicalOption::UTF8
        | CanonicalOption::Memory(_)
        | CanonicalOption::Realloc(_)
        | CanonicalOption::PostReturn(_) => Ok(()),
        CanonicalOption::Async
        | CanonicalOption::Callback(_)
        | CanonicalOption::CoreType(_)
        | CanonicalOption::Gc => Err(AdmissionError::refused("asynchronous or typed functions")),
    })
}

/// A name that looks on every screen like what it is.
fn plain_name(name: &str) -> Result<String, AdmissionError> {
    let plain = name.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'/' | b'@' | b'.' | b'+')
    });
    if plain && !name.is_empty() && name.len() <= 255 {
        return Ok(name.into());
    }
    Err(AdmissionError::refused(format!(
        "the name `{}` of an import or export",
        name.chars().take(80).collect::<String>().escape_default()
    )))
}
