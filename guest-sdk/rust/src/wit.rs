//! The SDK's own types under the names that generated bindings look for, so that a library's
//! interface takes `&Batch` and returns `Result<Batch>`.

/// Interface `glovebox:guest/types`.
pub mod types {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings::glovebox::guest::types::ScalarResult as Scalar;
    pub use crate::error::{Error, ErrorCode};
}

/// Interface `glovebox:guest/data`.
pub mod data {
    pub use crate::room::{Batch as RecordBatch, Batches as BatchReader};

    /// Name and type of a column as text, as they cross.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Field {
        /// Its name.
        pub name: String,
        /// Its type, for example `decimal(38, 10)`.
        pub data_type: String,
        /// Whether a row may lack a value.
        pub nullable: bool,
    }
}

/// What generated code alone does with handles, which it owns. Natively there are none: a test calls a library's
/// functions with batches made of columns.
mod handles {
    use crate::error::ErrorCode;
    use crate::room::{Batch, Batches};

    impl ErrorCode {
        #[doc(hidden)]
        pub unsafe fn _lift(code: u8) -> Self {
            const ALL: [ErrorCode; 6] = [
                ErrorCode::NotGranted,
                ErrorCode::InvalidArgument,
                ErrorCode::SchemaMismatch,
                ErrorCode::LimitExceeded,
                ErrorCode::PolicyDenied,
                ErrorCode::Closed,
            ];
            ALL.get(usize::from(code)).copied().unwrap_or(Self::Internal)
        }
    }

    macro_rules! handles {
        ($resource:ident, $make:expr) => {
            #[cfg(target_arch = "wasm32")]
            impl $resource {
                #[doc(hidden)]
                pub unsafe fn from_handle(handle: u32) -> Self {
                    // SAFETY: generated code owns the handle and passes it on.
                    $make(unsafe { crate::backend::handles::$resource::from_handle(handle) })
                }

                #[doc(hidden)]
                pub fn handle(&self) -> u32 {
                    self.inner.handle()
                }

                #[doc(hidden)]
                pub fn take_handle(&self) -> u32 {
                    self.inner.take_handle()
                }
            }

            #[cfg(not(target_arch = "wasm32"))]
            impl $resource {
                #[doc(hidden)]
                pub unsafe fn from_handle(_handle: u32) -> Self {
                    unimplemented_natively()
                }

                #[doc(hidden)]
                pub fn handle(&self) -> u32 {
                    unimplemented_natively()
                }

                #[doc(hidden)]
                pub fn take_handle(&self) -> u32 {
                    unimplemented_natively()
                }
            }
        };
    }

    handles!(Batch, Batch::received);
    handles!(Batches, |inner| Batches::new(inner).expect("a reader describes its columns"));

    #[cfg(not(target_arch = "wasm32"))]
    fn unimplemented_natively() -> ! {
        panic!("libraries are linked in a component only; in a native test call the function")
    }
}
