fn main() {
    let a: Vec<String> = std::env::args().collect();
    let c = match a[1].as_str() { "large" => splitmem_abi::config::HwConfig::LARGE, "small" => splitmem_abi::config::HwConfig::SMALL,
      f => splitmem_hdl::config::load(f.as_ref()).unwrap() };
    std::fs::create_dir_all(&a[2]).unwrap();
    std::fs::write(format!("{}/top.v", a[2]), splitmem_hdl::emit(&c)).unwrap();
}
