//! Translate lines from standard input to standard output: translate MODEL [LANGUAGE] < LINES > TRANSLATIONS

mod nmt;

use std::io::{BufRead, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = arguments.get(1).ok_or("usage: translate MODEL [LANGUAGE] < LINES > TRANSLATIONS")?;
    let model = nmt::Model::open(path)?;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let translation = model.translate(&line?, arguments.get(2).map(String::as_str))?;
        writeln!(output, "{translation}")?;
    }
    Ok(())
}
