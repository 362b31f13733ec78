//! The seeds of `fuzz/`, replayed: whatever a fuzzer once found stays mended.

#[path = "../fuzz/checks.rs"]
mod checks;

#[test]
fn every_seed_passes_its_check() {
    for (name, check) in checks::ALL {
        let folder = format!("{}/fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
        assert!(!seeds.is_empty(), "{folder}");
        for seed in seeds {
            check(&std::fs::read(seed.path()).unwrap());
        }
    }
}
