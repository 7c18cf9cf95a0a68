//! Pages over the router.
