//! Generated from `guest-sdk/wit`. `data` is written by hand, because its buffers cross in one
//! copy and generated types would need two.

wasmtime::component::bindgen!({
    path: "../../guest-sdk/wit",
    interfaces: "
        import glovebox:guest/context@0.1.0;
        import glovebox:guest/parameters@0.1.0;
        import glovebox:guest/tables@0.1.0;
        import glovebox:guest/sql@0.1.0;
        import glovebox:guest/script@0.1.0;
        import glovebox:guest/outputs@0.1.0;
        import glovebox:guest/volumes@0.1.0;
        import glovebox:guest/logging@0.1.0;
    ",
    imports: { default: trappable },
    trappable_error_type: {
        "glovebox:guest/types.error" => crate::state::Failure,
    },
    with: {
        "glovebox:guest/data": crate::interfaces::data,
        "glovebox:guest/tables.table": crate::interfaces::tables::Table,
        "glovebox:guest/outputs.output": crate::interfaces::outputs::Output,
        "glovebox:guest/volumes.file": crate::interfaces::volumes::File,
    },
});

pub(crate) use glovebox::guest::types;
