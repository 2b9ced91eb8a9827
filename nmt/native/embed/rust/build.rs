// `make` in the folder of the export builds lib/libnmt.a.
fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rustc-link-search=native={folder}/../../lib");
    println!("cargo:rustc-link-lib=static=nmt");
    println!("cargo:rustc-link-lib=m");
    println!("cargo:rerun-if-changed=../../lib/libnmt.a");
}
