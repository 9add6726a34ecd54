// An image classifier: the picture's tensor on stdin, the five best classes on stdout.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"

	"classify/wasinn"
)

func main() {
	if err := classify(); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func classify() error {
	// 1. Read the tensor: its shape and type from the environment, its bytes from stdin.
	dims, err := numbers(os.Getenv("WASMLRUN_INPUT_SHAPE"))
	if err != nil {
		return fmt.Errorf("WASMLRUN_INPUT_SHAPE: %w; run this worker with wasmlrun classify", err)
	}
	picture, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}

	// 2. Load the model by the name that the host knows it by.
	graph, err := wasinn.LoadByName(os.Getenv("WASMLRUN_MODEL"))
	if err != nil {
		return fmt.Errorf("cannot load the model: %w", err)
	}
	context, err := graph.Open()
	if err != nil {
		return fmt.Errorf("cannot open the model: %w", err)
	}

	// 3. Run it.
	input := wasinn.Tensor{Dims: dims, Type: types[os.Getenv("WASMLRUN_INPUT_TYPE")], Data: picture}
	if err := context.SetInput(0, input); err != nil {
		return fmt.Errorf("the model refuses the picture: %w", err)
	}
	if err := context.Compute(); err != nil {
		return fmt.Errorf("cannot run the model: %w", err)
	}
	output, err := context.Output(0)
	if err != nil {
		return fmt.Errorf("cannot read the scores: %w", err)
	}

	// 4. Rank: the five best scores, the lower index first where two are equal.
	scores := scoresOf(output, os.Getenv("WASMLRUN_OUTPUT_TYPE"))
	classes := make([]int, len(scores))
	for i := range classes {
		classes[i] = i
	}
	sort.SliceStable(classes, func(a, b int) bool { return scores[classes[a]] > scores[classes[b]] })

	// 5. Answer with lines of INDEX<TAB>SCORE.
	for _, class := range classes[:min(5, len(classes))] {
		fmt.Printf("%d\t%.9g\n", class, scores[class])
	}
	return nil
}

func numbers(text string) (found []uint32, err error) {
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return nil, err
		}
		found = append(found, uint32(n))
	}
	return found, nil
}

var types = map[string]wasinn.Type{
	"f32": wasinn.F32, "f16": wasinn.F16, "u8": wasinn.U8,
	"i8": wasinn.U8, // WASI-NN has no type of its own for it
}

func scoresOf(output []byte, kind string) (scores []float32) {
	if kind == "u8" {
		for _, n := range output {
			scores = append(scores, float32(n)/256)
		}
		return scores
	}
	for ; len(output) >= 4; output = output[4:] {
		scores = append(scores, math.Float32frombits(binary.LittleEndian.Uint32(output)))
	}
	return scores
}
