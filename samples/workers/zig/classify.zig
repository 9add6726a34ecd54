//! An image classifier: the picture's tensor on stdin, the five best classes on stdout.

const std = @import("std");
const wasi_nn = @import("wasi_nn.zig");

pub fn main(init: std.process.Init) !void {
    const allocator = init.arena.allocator();
    const environ = init.environ_map;

    // 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
    const dims = try numbers(allocator, try variable(environ, "WASMLRUN_INPUT_SHAPE"));
    const element = typeNamed(try variable(environ, "WASMLRUN_INPUT_TYPE"));
    var buffer: [4096]u8 = undefined;
    var stdin = std.Io.File.stdin().readerStreaming(init.io, &buffer);
    const picture = try stdin.interface.allocRemaining(allocator, .unlimited);

    // 2. Load the model by the name that the host knows it by.
    const graph = try wasi_nn.Graph.loadByName(try variable(environ, "WASMLRUN_MODEL"));
    const context = try graph.open();

    // 3. Run it.
    try context.setInput(0, .{ .dims = dims, .type = element, .data = picture });
    try context.compute();
    const output = try context.output(0, allocator);

    // 4. Rank: the five best scores, the lower index first where two are equal.
    const kind = try variable(environ, "WASMLRUN_OUTPUT_TYPE");
    const scores = try scoresOf(allocator, output, kind);
    const classes = try allocator.alloc(usize, scores.len);
    for (classes, 0..) |*class, i| class.* = i;
    std.mem.sort(usize, classes, scores, better);

    // 5. Answer with lines of INDEX<TAB>SCORE.
    var stdout = std.Io.File.stdout().writerStreaming(init.io, &buffer);
    for (classes[0..@min(5, classes.len)]) |class| {
        try stdout.interface.print("{d}\t{d}\n", .{ class, scores[class] });
    }
    try stdout.interface.flush();
}

fn variable(environ: *const std.process.Environ.Map, name: []const u8) error{NotSet}![]const u8 {
    return environ.get(name) orelse {
        std.log.err("{s} is not set; run this worker with wasmlrun classify", .{name});
        return error.NotSet;
    };
}

fn numbers(allocator: std.mem.Allocator, text: []const u8) ![]const u32 {
    var found: std.ArrayList(u32) = .empty;
    var parts = std.mem.splitScalar(u8, text, ',');
    while (parts.next()) |part| try found.append(allocator, try std.fmt.parseInt(u32, part, 10));
    return found.items;
}

fn typeNamed(name: []const u8) wasi_nn.Type {
    // i8 is u8 as well: WASI-NN has no type of its own for it
    return std.meta.stringToEnum(wasi_nn.Type, name) orelse .u8;
}

fn scoresOf(allocator: std.mem.Allocator, output: []align(8) u8, kind: []const u8) ![]const f32 {
    if (!std.mem.eql(u8, kind, "u8")) return std.mem.bytesAsSlice(f32, output);
    const scores = try allocator.alloc(f32, output.len);
    for (scores, output) |*score, n| score.* = @as(f32, @floatFromInt(n)) / 256;
    return scores;
}

fn better(scores: []const f32, a: usize, b: usize) bool {
    return scores[a] > scores[b] or (scores[a] == scores[b] and a < b);
}
