//! An engine that sees the same world in every build.
//!
//! While a notebook is loaded, the engine seeds its hash tables and its `Math.random`, reads the
//! clock, and asks for the dates of files; what it got would be in the component's memory for
//! good. Random numbers and time are imports of WASI: they become functions of the module itself,
//! so two builds see the same values, and so do two runs. What files tell of themselves is cut
//! down to their type and size.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, Function, FunctionSection, ImportSection, InstructionSink, MemArg, Module,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionSectionReader, ImportSectionReader, Imports,
    Parser, Payload, TypeRef,
};

use crate::error::BuildError;

const WASI: &str = "wasi_snapshot_preview1";
const RANDOM: &str = "random_get";
const CLOCK: &str = "clock_time_get";
const FILE: &str = "path_filestat_get";

/// Every random byte. Not zero: the engine draws again until a seed is not zero.
const RANDOM_BYTE: i32 = 0x6d;
/// The time in nanoseconds. Not zero: to the engine that is no time at all.
const TIME: i64 = 1_000_000_000;

/// `engine` with its own source of random numbers and of time.
pub(super) fn pin(engine: &[u8]) -> Result<Vec<u8>, BuildError> {
    let broken = |what: String| BuildError::new(format!("the JavaScript engine {what}"));
    let functions =
        imported_functions(engine).map_err(|error| broken(format!("is not a module: {error}")))?;
    let replaced = |name| {
        let index = functions.iter().position(|import| import.is(name));
        let index = index.ok_or_else(|| broken(format!("does not import `{name}`")))?;
        Ok(Replaced { import: index as u32, type_index: functions[index].type_index, name })
    };
    let names = [RANDOM, CLOCK, FILE];
    let replaced = names.into_iter().map(replaced).collect::<Result<_, BuildError>>()?;
    let mut module = Module::new();
    Pin { replaced, functions: 0 }
        .parse_core_module(&mut module, Parser::new(0), engine)
        .map_err(|error| broken(format!("cannot be rewritten: {error}")))?;
    Ok(module.finish())
}

struct ImportedFunction {
    module: String,
    name: String,
    type_index: u32,
}

impl ImportedFunction {
    fn is(&self, name: &str) -> bool {
        self.module == WASI && self.name == name
    }
}

/// The imports of functions, in the order of their indices.
fn imported_functions(module: &[u8]) -> wasmparser::Result<Vec<ImportedFunction>> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload? else { continue };
        for import in section.into_imports() {
            let import = import?;
            if let TypeRef::Func(type_index) | TypeRef::FuncExact(type_index) = import.ty {
                let (module, name) = (import.module.into(), import.name.into());
                found.push(ImportedFunction { module, name, type_index });
            }
        }
    }
    Ok(found)
}

/// An import that a function of the module's own stands for.
struct Replaced {
    import: u32,
    name: &'static str,
    type_index: u32,
}

impl Replaced {
    /// Whether the function does without the import, which is left out then.
    fn is_dropped(&self) -> bool {
        self.name != FILE
    }

    /// The function, given the new index of the import.
    fn body(&self, import: u32) -> Function {
        let mut body = Function::new([]);
        let code = &mut body.instructions();
        match self.name {
            RANDOM => random(code),
            CLOCK => clock(code),
            _ => file(code, import),
        }
        body
    }
}

fn aligned(offset: u64) -> MemArg {
    MemArg { offset, align: 3, memory_index: 0 }
}

/// `random_get(buffer, length)`
fn random(code: &mut InstructionSink<'_>) {
    code.local_get(0).i32_const(RANDOM_BYTE).local_get(1).memory_fill(0).i32_const(0).end();
}

/// `clock_time_get(clock, precision, time)`
fn clock(code: &mut InstructionSink<'_>) {
    code.local_get(2).i64_const(TIME).i64_store(aligned(0)).i32_const(0).end();
}

/// `path_filestat_get(directory, flags, path, path_length, result)`: what the host says, without
/// device, inode, links and times.
fn file(code: &mut InstructionSink<'_>, import: u32) {
    for argument in 0..5 {
        code.local_get(argument);
    }
    code.call(import);
    for field in [0, 8, 24, 40, 48, 56] {
        code.local_get(4).i64_const(0).i64_store(aligned(field));
    }
    code.end();
}

/// Leaves out imports and appends functions: both shift indices.
struct Pin {
    replaced: Vec<Replaced>,
    /// Functions of the module, imports included. Known once its function section was read.
    functions: u32,
}

impl Pin {
    /// The new index of the function that was at `index`.
    fn shifted(&self, index: u32) -> u32 {
        let dropped = self.replaced.iter().filter(|function| function.is_dropped());
        index - dropped.filter(|function| function.import < index).count() as u32
    }
}

type Rewritten = Result<(), Error<Infallible>>;

impl Reencode for Pin {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        Ok(match self.replaced.iter().position(|function| function.import == index) {
            Some(place) => self.shifted(self.functions) + place as u32,
            None => self.shifted(index),
        })
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Rewritten {
        for import in section.into_imports() {
            let import = import?;
            if matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)) {
                self.functions += 1;
                let index = self.functions - 1;
                let mut replaced = self.replaced.iter();
                if replaced.any(|function| function.import == index && function.is_dropped()) {
                    continue;
                }
            }
            utils::parse_imports(self, imports, Imports::Single(0, import))?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Rewritten {
        self.functions += section.count();
        utils::parse_function_section(self, functions, section)?;
        for function in &self.replaced {
            functions.function(function.type_index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Rewritten {
        utils::parse_code_section(self, code, section)?;
        for function in &self.replaced {
            code.function(&function.body(self.shifted(function.import)));
        }
        Ok(())
    }

    /// Names of functions would double the component's size.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Rewritten {
        if section.name() == "name" {
            return Ok(());
        }
        utils::parse_custom_section(self, module, section)
    }
}
