//! A language model at work: a text is gone on with, a person is answered, a text becomes a vector.
//!
//!   talk complete MODEL PROMPT     the text that follows, as it comes
//!   talk chat MODEL                answers each line of stdin
//!   talk embed MODEL TEXT          a vector as JSON

mod llm;

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use llm::Talk;

/// Generates to the end of the text and shows it as it comes.
fn tell(talk: &mut Talk) -> Result<String, Box<dyn Error>> {
    let (mut said, mut out) = (Vec::new(), io::stdout());
    while let Some(piece) = talk.next()? {
        out.write_all(&piece)?;
        out.flush()?;
        said.extend(piece);
    }
    writeln!(out)?;
    talk.finish()?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Chat models are told by marks who speaks; these are ChatML's.
fn turn(who: &str, text: &str) -> String {
    format!("<|im_start|>{who}\n{text}<|im_end|>\n")
}

fn chat(talk: &mut Talk) -> Result<(), Box<dyn Error>> {
    let mut history = turn("system", "You are a helpful assistant.");
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        history += &turn("user", &line);
        talk.prompt(&(history.clone() + "<|im_start|>assistant\n"))?;
        history += &turn("assistant", &tell(talk)?);
    }
    Ok(())
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match *words {
        ["complete", model, prompt] => {
            let options = r#"{"n-predict": 64, "temp": 0, "ctx-size": 1024}"#;
            let mut talk = Talk::open(model, options)?;
            talk.prompt(prompt)?;
            tell(&mut talk)?;
        }
        ["chat", model] => {
            let options = r#"{"n-predict": 256, "temp": 0, "ctx-size": 2048}"#;
            chat(&mut Talk::open(model, options)?)?;
        }
        ["embed", model, text] => {
            let mut talk = Talk::open(model, r#"{"embedding": true, "ctx-size": 1024}"#)?;
            talk.prompt(text)?;
            io::stdout().write_all(&talk.answer()?)?;
            println!();
        }
        _ => {
            return Err("usage: talk complete MODEL PROMPT | chat MODEL | embed MODEL TEXT".into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("talk: {error}");
            ExitCode::FAILURE
        }
    }
}
