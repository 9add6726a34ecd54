//! WASI-NN for Zig: the imports of a core module behind error unions, one file.

const std = @import("std");

pub const Error = error{
    InvalidArgument,
    InvalidEncoding,
    MissingMemory,
    Busy,
    RuntimeError,
    UnsupportedOperation,
    TooLarge,
    NotFound,
    Unknown,
};

/// The element type of a tensor; one of i8 is given as `u8`.
pub const Type = enum(u8) { f16 = 0, f32 = 1, u8 = 3, i32 = 4, i64 = 5 };

pub const Tensor = struct { dims: []const u32, type: Type, data: []const u8 };

/// A loaded model.
pub const Graph = struct {
    handle: u32,

    pub fn loadByName(name: []const u8) Error!Graph {
        var handle: u32 = undefined;
        try check(raw.load_by_name(name.ptr, name.len, &handle));
        return .{ .handle = handle };
    }

    pub fn open(graph: Graph) Error!Context {
        var handle: u32 = undefined;
        try check(raw.init_execution_context(graph.handle, &handle));
        return .{ .handle = handle };
    }
};

/// A model's inputs and outputs for one computation after another.
pub const Context = struct {
    handle: u32,

    pub fn setInput(context: Context, index: u32, tensor: Tensor) Error!void {
        const record: raw.Tensor = .{
            .dims = tensor.dims.ptr,
            .rank = tensor.dims.len,
            .type = @intFromEnum(tensor.type),
            .data = tensor.data.ptr,
            .size = tensor.data.len,
        };
        try check(raw.set_input(context.handle, index, &record));
    }

    pub fn compute(context: Context) Error!void {
        try check(raw.compute(context.handle));
    }

    /// The output's bytes, aligned for any element type; the caller owns them.
    pub fn output(
        context: Context,
        index: u32,
        allocator: std.mem.Allocator,
    ) (Error || std.mem.Allocator.Error)![]align(8) u8 {
        var buffer = try allocator.alignedAlloc(u8, .@"8", 16384);
        errdefer allocator.free(buffer);
        while (true) {
            var size: usize = 0;
            check(raw.get_output(context.handle, index, buffer.ptr, buffer.len, &size)) catch |e| {
                if (e != error.TooLarge or size <= buffer.len) return e;
                // the host has said how much it is
                buffer = try allocator.realloc(buffer, size);
                continue;
            };
            return allocator.realloc(buffer, size);
        }
    }
};

fn check(number: u32) Error!void {
    return switch (number) {
        0 => {},
        1 => error.InvalidArgument,
        2 => error.InvalidEncoding,
        3 => error.MissingMemory,
        4 => error.Busy,
        5 => error.RuntimeError,
        6 => error.UnsupportedOperation,
        7 => error.TooLarge,
        8 => error.NotFound,
        else => error.Unknown,
    };
}

const raw = struct {
    const Tensor = extern struct {
        dims: [*]const u32,
        rank: usize,
        type: u8,
        data: [*]const u8,
        size: usize,
    };

    extern "wasi_ephemeral_nn" fn load_by_name([*]const u8, usize, *u32) u32;
    extern "wasi_ephemeral_nn" fn init_execution_context(u32, *u32) u32;
    extern "wasi_ephemeral_nn" fn set_input(u32, u32, *const raw.Tensor) u32;
    extern "wasi_ephemeral_nn" fn compute(u32) u32;
    extern "wasi_ephemeral_nn" fn get_output(u32, u32, [*]u8, usize, *usize) u32;
};
