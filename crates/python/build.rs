//! Tells the sources for which kind of interpreter they are compiled (`cfg(Py_GIL_DISABLED)`).

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
