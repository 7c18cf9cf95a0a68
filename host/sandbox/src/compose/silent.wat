;; The core module of `silent.wasm`: an interface `logging` that does nothing. Texts are lowered to
;; one place, one over the other, because nobody reads them.
(module
  (memory (export "memory") 1)
  (func (export "glovebox:guest/logging@0.1.0#log") (param i32 i32 i32))
  (func (export "glovebox:guest/logging@0.1.0#display") (param i32 i32 i32 i32))
  (func (export "glovebox:guest/logging@0.1.0#progress") (param i64 i32 i64))
  (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32)
    (result i32)
    (local $missing i64)
    ;; Pages up to 16 + size, less those that there are.
    (local.set $missing
      (i64.sub
        (i64.shr_u
          (i64.add (i64.extend_i32_u (local.get $size)) (i64.const 65551))
          (i64.const 16))
        (i64.extend_i32_u (memory.size))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then
        (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1))
          (then unreachable))))
    (i32.const 16)))
