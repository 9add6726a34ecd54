//! WASI-NN for Rust: the imports of a core module behind `Result`, one file.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    InvalidArgument,
    InvalidEncoding,
    MissingMemory,
    Busy,
    RuntimeError,
    UnsupportedOperation,
    TooLarge,
    NotFound,
    Unknown(u32),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument => f.write_str("invalid argument"),
            Error::InvalidEncoding => f.write_str("invalid encoding"),
            Error::MissingMemory => f.write_str("missing memory"),
            Error::Busy => f.write_str("busy"),
            Error::RuntimeError => f.write_str("runtime error"),
            Error::UnsupportedOperation => f.write_str("unsupported operation"),
            Error::TooLarge => f.write_str("too large"),
            Error::NotFound => f.write_str("not found"),
            Error::Unknown(number) => write!(f, "error {}", number),
        }
    }
}

impl std::error::Error for Error {}

/// The element type of a tensor; one of i8 is given as `U8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    F16 = 0,
    F32 = 1,
    U8 = 3,
}

pub struct Tensor<'a> {
    pub dims: &'a [u32],
    pub kind: Type,
    pub data: &'a [u8],
}

/// A loaded model.
#[derive(Debug)]
pub struct Graph(u32);

impl Graph {
    pub fn load_by_name(name: &str) -> Result<Graph, Error> {
        let mut handle = 0;
        check(unsafe { raw::load_by_name(name.as_ptr(), name.len(), &mut handle) })?;
        Ok(Graph(handle))
    }

    pub fn open(&self) -> Result<Context, Error> {
        let mut handle = 0;
        check(unsafe { raw::init_execution_context(self.0, &mut handle) })?;
        Ok(Context(handle))
    }
}

/// A model's inputs and outputs for one computation after another.
#[derive(Debug)]
pub struct Context(u32);

impl Context {
    pub fn set_input(&mut self, index: u32, tensor: &Tensor<'_>) -> Result<(), Error> {
        let record = raw::Tensor {
            dims: tensor.dims.as_ptr(),
            rank: tensor.dims.len(),
            kind: tensor.kind as u8,
            data: tensor.data.as_ptr(),
            size: tensor.data.len(),
        };
        check(unsafe { raw::set_input(self.0, index, &record) })
    }

    pub fn compute(&mut self) -> Result<(), Error> {
        check(unsafe { raw::compute(self.0) })
    }

    pub fn output(&self, index: u32) -> Result<Vec<u8>, Error> {
        let mut data = vec![0; 16384];
        loop {
            let mut size = 0;
            let (start, room) = (data.as_mut_ptr(), data.len());
            match check(unsafe { raw::get_output(self.0, index, start, room, &mut size) }) {
                Ok(()) => data.truncate(size),
                // the host has said how much it is
                Err(Error::TooLarge) if size > room => {
                    data.resize(size, 0);
                    continue;
                }
                Err(error) => return Err(error),
            }
            return Ok(data);
        }
    }
}

fn check(number: u32) -> Result<(), Error> {
    Err(match number {
        0 => return Ok(()),
        1 => Error::InvalidArgument,
        2 => Error::InvalidEncoding,
        3 => Error::MissingMemory,
        4 => Error::Busy,
        5 => Error::RuntimeError,
        6 => Error::UnsupportedOperation,
        7 => Error::TooLarge,
        8 => Error::NotFound,
        other => Error::Unknown(other),
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
        pub fn load_by_name(name: *const u8, size: usize, graph: *mut u32) -> u32;
        pub fn init_execution_context(graph: u32, context: *mut u32) -> u32;
        pub fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
        pub fn compute(context: u32) -> u32;
        pub fn get_output(
            context: u32,
            index: u32,
            buffer: *mut u8,
            capacity: usize,
            size: *mut usize,
        ) -> u32;
    }
}
