//! An image classifier: the picture's tensor on stdin, the five best classes on stdout.

mod wasi_nn;

use std::cmp::Ordering;
use std::error::Error;
use std::io::{self, Read};
use std::{env, process};

use wasi_nn::{Graph, Tensor, Type};

fn main() {
    if let Err(error) = classify() {
        eprintln!("classify: {}", error);
        process::exit(1);
    }
}

fn classify() -> Result<(), Box<dyn Error>> {
    // 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
    let dims = variable("WASMLRUN_INPUT_SHAPE")?
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<u32>, _>>()?;
    let kind = type_named(&variable("WASMLRUN_INPUT_TYPE")?);
    let mut picture = Vec::new();
    io::stdin().read_to_end(&mut picture)?;

    // 2. Load the model by the name that the host knows it by.
    let graph = Graph::load_by_name(&variable("WASMLRUN_MODEL")?)?;
    let mut context = graph.open()?;

    // 3. Run it.
    context.set_input(0, &Tensor { dims: &dims, kind, data: &picture })?;
    context.compute()?;
    let output = context.output(0)?;

    // 4. Rank: the five best scores, the lower index first where two are equal.
    let scores = scores_of(&output, &variable("WASMLRUN_OUTPUT_TYPE")?);
    let mut classes: Vec<usize> = (0..scores.len()).collect();
    classes.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal));

    // 5. Answer with lines of INDEX<TAB>SCORE.
    for &class in classes.iter().take(5) {
        println!("{}\t{}", class, scores[class]);
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{} is not set; run this worker with wasmlrun classify", name))
}

fn type_named(name: &str) -> Type {
    match name {
        "f32" => Type::F32,
        "f16" => Type::F16,
        _ => Type::U8, // i8 as well: WASI-NN has no type of its own for it
    }
}

fn scores_of(output: &[u8], kind: &str) -> Vec<f32> {
    if kind == "u8" {
        return output.iter().map(|&n| f32::from(n) / 256.0).collect();
    }
    output.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
