//go:build wasip1

// Package wasinn is WASI-NN for Go: the imports of a core module behind error values.
package wasinn

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Error is a WASI-NN error number.
type Error uint32

const (
	InvalidArgument Error = iota + 1
	InvalidEncoding
	MissingMemory
	Busy
	RuntimeError
	UnsupportedOperation
	TooLarge
	NotFound
)

func (e Error) Error() string {
	texts := []string{
		"ok", "invalid argument", "invalid encoding", "missing memory", "busy",
		"runtime error", "unsupported operation", "too large", "not found",
	}
	if int(e) < len(texts) {
		return texts[e]
	}
	return fmt.Sprintf("error %d", uint32(e))
}

// Type is the element type of a tensor; one of i8 is given as U8.
type Type uint8

const (
	F16 Type = 0
	F32 Type = 1
	U8  Type = 3
)

// Tensor is a model's input.
type Tensor struct {
	Dims []uint32
	Type Type
	Data []byte
}

// Graph is a loaded model.
type Graph uint32

// Context holds a model's inputs and outputs for one computation after another.
type Context uint32

// LoadByName loads the model that the host knows by this name.
func LoadByName(name string) (graph Graph, err error) {
	text := []byte(name)
	var handle uint32
	err = check(loadByName(unsafe.Pointer(unsafe.SliceData(text)), uint32(len(text)), unsafe.Pointer(&handle)))
	return Graph(handle), err
}

// Open makes a context.
func (g Graph) Open() (context Context, err error) {
	var handle uint32
	err = check(initExecutionContext(uint32(g), unsafe.Pointer(&handle)))
	return Context(handle), err
}

// SetInput gives the model an input.
func (c Context) SetInput(index uint32, tensor Tensor) error {
	// pointers are 32 bits wide for the host, whatever Go makes of them
	record := [5]uint32{
		address(unsafe.Pointer(unsafe.SliceData(tensor.Dims))), uint32(len(tensor.Dims)),
		uint32(tensor.Type),
		address(unsafe.Pointer(unsafe.SliceData(tensor.Data))), uint32(len(tensor.Data)),
	}
	err := check(setInput(uint32(c), index, unsafe.Pointer(&record)))
	runtime.KeepAlive(tensor)
	return err
}

// Compute runs the model.
func (c Context) Compute() error {
	return check(compute(uint32(c)))
}

// Output returns the bytes of an output.
func (c Context) Output(index uint32) ([]byte, error) {
	data := make([]byte, 16384)
	for {
		var size uint32
		err := check(getOutput(
			uint32(c), index, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), unsafe.Pointer(&size)))
		if err == TooLarge && int(size) > len(data) {
			data = make([]byte, size) // the host has said how much it is
			continue
		}
		if err != nil {
			return nil, err
		}
		return data[:size], nil
	}
}

func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func check(number uint32) error {
	if number == 0 {
		return nil
	}
	return Error(number)
}

//go:wasmimport wasi_ephemeral_nn load_by_name
func loadByName(name unsafe.Pointer, size uint32, graph unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn init_execution_context
func initExecutionContext(graph uint32, context unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn set_input
func setInput(context, index uint32, tensor unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn compute
func compute(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn get_output
func getOutput(context, index uint32, buffer unsafe.Pointer, capacity uint32, size unsafe.Pointer) uint32
