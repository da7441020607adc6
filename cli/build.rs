//! Builds the program again when the files of the verifier page have changed, which it embeds.

fn main() {
    // Named only if it is there: cargo takes a missing path for one that changes all the time.
    let page = "../web/dist";
    let watched = if std::path::Path::new(page).exists() {
        page
    } else {
        "../web"
    };
    println!("cargo::rerun-if-changed={watched}");
}
