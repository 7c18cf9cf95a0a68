//! The virtual machine's settings, each with its reason, and compiling and loading.

use std::hash::{Hash, Hasher};

use glovebox_contract::digest::Blake3Digest;
use wasmtime::component::Component;
use wasmtime::{Config, ModuleVersionStrategy, OptLevel, Strategy, WasmBacktraceDetails};

/// Bytes of stack that a guest may use. A deeper recursion is a trap.
///
/// CPython counts its own recursion and answers with an exception that names the line; with the
/// usual 512 KiB this stack would end first, after some 150 calls of `__call__`.
pub const MAX_GUEST_STACK_BYTES: usize = 2 << 20;

/// The version of our settings. Raise it with every change in [`configuration`] that wasmtime's
/// own compatibility hash might not see.
const SETTINGS: &str = "glovebox-engine-v2";

/// Compiles and loads components. One per process.
pub struct Engine {
    pub(crate) inner: wasmtime::Engine,
}

/// A component in machine code, ready to run.
pub struct CompiledComponent {
    pub(crate) inner: Component,
}

/// Why an engine cannot be made, or a component not compiled or loaded.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {detail}")]
pub struct EngineError {
    what: &'static str,
    detail: String,
}

impl EngineError {
    fn new(what: &'static str, error: &wasmtime::Error) -> Self {
        Self { what, detail: crate::text::harmless(&format!("{error:#}"), 4096, true) }
    }
}

/// Every setting that decides what a guest can do, whatever the default of this wasmtime is.
fn configuration() -> Config {
    let mut config = Config::new();

    // One compiler: Winch had four of the advisories of 2026.
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    // The verifier finds compiler bugs while compiling; it is for developers of Cranelift.
    config.cranelift_debug_verifier(false);
    // Costs up to 60 % in float code. NaNs are made equal in output columns instead.
    config.cranelift_nan_canonicalization(false);
    // Compiling happens in a child with its own limits; its threads are counted there.
    config.parallel_compilation(true);
    // Machine code of another version is never loaded.
    let _ = config.module_version(ModuleVersionStrategy::WasmtimeVersion);

    // Proposals that a notebook needs: what today's compilers emit by default.
    config.wasm_component_model(true);
    config.wasm_bulk_memory(true);
    config.wasm_multi_value(true);
    config.wasm_simd(true);
    config.wasm_extended_const(true);
    // The code that copies lists from one part of a composed component to another has a memory of
    // each. Admission refuses guests that have two.
    config.wasm_multi_memory(true);

    // Off: each adds code that a hostile guest could reach.
    // Results of relaxed SIMD differ between processors.
    config.wasm_relaxed_simd(false);
    // With 32-bit memories, guard pages replace bounds checks; 64-bit ones are young in components.
    config.wasm_memory64(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_tail_call(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_stack_switching(false);
    config.wasm_shared_everything_threads(false);
    // Shared memory is tier 2: no advisories are written for it.
    config.shared_memory(false);
    // Garbage collection and exceptions are not compiled in; only guests in Python need them.
    // (Typed references to functions stay: without collected types they are plain pointers.)
    config.gc_support(false);
    // Worlds are synchronous; concurrency made their calls 50 to 100 times slower.
    config.concurrency_support(false);
    config.wasm_component_model_error_context(false);
    config.wasm_component_model_gc(false);
    config.wasm_component_model_map(false);
    config.wasm_component_model_fixed_length_lists(false);

    // The process of a run is killed at its deadline, which costs nothing. Epochs and fuel cost
    // up to 45 % in tight loops.
    config.epoch_interruption(false);
    config.consume_fuel(false);

    // The thread that runs a guest has far more stack than this, see `run`.
    config.max_wasm_stack(MAX_GUEST_STACK_BYTES);

    // Faults of the processor end a guest's stray access. Checks in code instead were needed by
    // two advisories of 2026 and are slower.
    config.signals_based_traps(true);
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    config.guard_before_linear_memory(true);
    // A guest's memory starts as a private mapping of the component's own data.
    config.memory_init_cow(true);

    // Function names and paths of a component stay out of error texts.
    config.wasm_backtrace_max_frames(None);
    // The default asks an environment variable.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.debug_info(false);
    config.generate_address_map(false);
    config
}

impl Engine {
    /// An engine with the one configuration.
    ///
    /// # Errors
    /// When this machine cannot run it.
    pub fn new() -> Result<Self, EngineError> {
        wasmtime::Engine::new(&configuration())
            .map(|inner| Self { inner })
            .map_err(|error| EngineError::new("the virtual machine cannot start", &error))
    }

    /// Digest of everything that decides what machine code a component compiles to: wasmtime's
    /// version, the processor's features, and the settings here. Machine code is cached by it,
    /// and a receipt names it.
    pub fn configuration_digest(&self) -> Blake3Digest {
        let mut hasher = Collecting(SETTINGS.as_bytes().to_vec());
        self.inner.precompile_compatibility_hash().hash(&mut hasher);
        Blake3Digest::of(&hasher.0)
    }

    /// Compiles an admitted component to machine code for [`Engine::load`].
    ///
    /// A component can be made that takes for ever or all memory to compile, so this is called
    /// in a jailed process with limits on both.
    ///
    /// # Errors
    /// When the component is not valid or uses what is switched off.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, EngineError> {
        self.inner
            .precompile_component(component)
            .map_err(|error| EngineError::new("the component does not compile", &error))
    }

    /// Loads machine code that [`Engine::compile`] made.
    ///
    /// # Safety
    /// `machine_code` runs with the rights of this process. The caller must have it from
    /// [`Engine::compile`] of this very host, kept where only the host writes, and must have
    /// checked its digest since reading it. Machine code of a party is never loaded.
    ///
    /// # Errors
    /// When it was made by another version or with another configuration.
    pub unsafe fn load(&self, machine_code: &[u8]) -> Result<CompiledComponent, EngineError> {
        // SAFETY: the caller vouches for the bytes, see above.
        unsafe { Component::deserialize(&self.inner, machine_code) }
            .map(|inner| CompiledComponent { inner })
            .map_err(|error| EngineError::new("the machine code does not load", &error))
    }
}

/// Collects what is hashed, so that a cryptographic hash can be taken of it.
struct Collecting(Vec<u8>);

impl Hasher for Collecting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_digest_is_the_same_for_every_engine() {
        let digest = || Engine::new().unwrap().configuration_digest();
        assert_eq!(digest(), digest());
    }

    #[test]
    fn switched_off_proposals_do_not_compile() {
        let engine = Engine::new().unwrap();
        let check = |name: &str, module: &str| {
            let component = wat::parse_str(format!("(component (core module {module}))")).unwrap();
            let error = engine.compile(&component).expect_err(name).to_string();
            assert!(error.starts_with("the component does not compile: "), "{error}");
        };
        assert!(engine.compile(&wat::parse_str("(component (core module))").unwrap()).is_ok());
        check("64-bit memory", "(memory i64 1)");
        check("shared memory", "(memory 1 1 shared)");
        check("page size", "(memory 1 (pagesize 1))");
        check("exceptions", "(tag)");
        check("garbage collection", "(type (struct))");
        check("tail call", "(func $f return_call $f)");
        check(
            "relaxed SIMD",
            "(func (param v128 v128) (result v128) local.get 0 local.get 1 i8x16.relaxed_swizzle)",
        );
        check(
            "wide arithmetic",
            "(func (param i64 i64) (result i64 i64)
            local.get 0 local.get 1 local.get 0 local.get 1 i64.add128)",
        );
    }

    #[test]
    fn damaged_or_foreign_machine_code_does_not_load() {
        let engine = Engine::new().unwrap();
        let code = engine.compile(&wat::parse_str("(component)").unwrap()).unwrap();
        // SAFETY: a component, a truncated header and nothing are refused before anything runs.
        unsafe {
            assert!(engine.load(&code).is_ok());
            assert!(engine.load(&wat::parse_str("(component)").unwrap()).is_err());
            assert!(engine.load(&code[..40]).is_err());
            assert!(engine.load(b"").is_err());
        }
    }
}
