//! crm_simulate without a cluster: `-L` is refused.

fn main() {
    let args = std::env::args_os().skip(1).collect();
    std::process::exit(simulate::main(args, &|| Err("this build knows no cluster".to_string())));
}
