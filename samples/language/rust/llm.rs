//! A language model behind WASI-NN, for Rust: the few calls that it has beyond a classifier's.
//!
//! Input 0 is a prompt; output 0 is text, all of it or the last token's.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The text is at its end.
    End,
    ContextFull,
    PromptTooLong,
    Other(u32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::End => f.write_str("the text is at its end"),
            Error::ContextFull | Error::PromptTooLong => {
                f.write_str("the conversation is too long for the model")
            }
            Error::Other(number) => write!(f, "error {}", number),
        }
    }
}

impl std::error::Error for Error {}

/// One conversation with a model.
pub struct Talk(u32);

impl Talk {
    /// With the model that the host knows by this name; options are JSON.
    pub fn open(model: &str, options: &str) -> Result<Talk, Error> {
        let (mut graph, mut context) = (0, 0);
        check(unsafe {
            raw::load_by_name_with_config(
                model.as_ptr(),
                model.len(),
                options.as_ptr(),
                options.len(),
                &mut graph,
            )
        })?;
        check(unsafe { raw::init_execution_context(graph, &mut context) })?;
        Ok(Talk(context))
    }

    pub fn prompt(&mut self, text: &str) -> Result<(), Error> {
        let dims = [text.len() as u32];
        let tensor = raw::Tensor {
            dims: dims.as_ptr(),
            rank: 1,
            kind: 3, // u8
            data: text.as_ptr(),
            size: text.len(),
        };
        check(unsafe { raw::set_input(self.0, 0, &tensor) })
    }

    /// Everything at once: the text to its end, or a vector.
    pub fn answer(&mut self) -> Result<Vec<u8>, Error> {
        check(unsafe { raw::compute(self.0) })?;
        let mut data = vec![0; 1 << 20];
        let mut size = 0;
        check(unsafe { raw::get_output(self.0, 0, data.as_mut_ptr(), data.len(), &mut size) })?;
        data.truncate(size);
        Ok(data)
    }

    /// The next token's bytes, which may be a part of a letter; None at the end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match check(unsafe { raw::compute_single(self.0) }) {
            Ok(()) => {}
            Err(Error::End) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut data = vec![0; 1024];
        let mut size = 0;
        check(unsafe {
            raw::get_output_single(self.0, 0, data.as_mut_ptr(), data.len(), &mut size)
        })?;
        data.truncate(size);
        Ok(Some(data))
    }

    /// Forget what was generated; the next prompt begins anew.
    pub fn finish(&mut self) -> Result<(), Error> {
        check(unsafe { raw::fini_single(self.0) })
    }
}

fn check(number: u32) -> Result<(), Error> {
    Err(match number {
        0 => return Ok(()),
        100 => Error::End,
        101 => Error::ContextFull,
        102 => Error::PromptTooLong,
        other => Error::Other(other),
    })
}

mod raw {
    #[repr(C)]
    pub struct Tensor {
        pub dims: *const u32,
        pub rank: usize,
        pub kind: u8,
        pub data: *const u8,
        pub size: usize,
    }

    #[link(wasm_import_module = "wasi_ephemeral_nn")]
    extern "C" {
        pub fn load_by_name_with_config(
            name: *const u8,
            size: usize,
            options: *const u8,
            options_size: usize,
            graph: *mut u32,
        ) -> u32;
        pub fn init_execution_context(graph: u32, context: *mut u32) -> u32;
        pub fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
        pub fn compute(context: u32) -> u32;
        pub fn get_output(
            context: u32,
            index: u32,
            data: *mut u8,
            room: usize,
            size: *mut usize,
        ) -> u32;
        pub fn compute_single(context: u32) -> u32;
        pub fn get_output_single(
            context: u32,
            index: u32,
            data: *mut u8,
            room: usize,
            size: *mut usize,
        ) -> u32;
        pub fn fini_single(context: u32) -> u32;
    }
}
