// Times Porcupine on register histories, one file of operations each.
//
// A line of a file: client,f,first,second,called,returned,unknown. f is r, w or c (compare-and-set from first to second; what a
// read returned and what a write wrote is first); -1 stands for nil; an operation whose outcome is unknown (1) returns at the end.
// Prints, a line for each file: verdict, seconds, peak resident memory in MB, file.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

type action struct {
	f             byte
	first, second int
	unknown       bool
}

var register = porcupine.Model{
	Init: func() interface{} { return -1 },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		held, did := state.(int), input.(action)
		switch did.f {
		case 'w':
			return true, did.first
		case 'c':
			if held == did.first {
				return true, did.second
			}
			return did.unknown, held
		default:
			return held == did.first, held
		}
	},
}

func operations(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []porcupine.Operation
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) != 7 {
			return nil, fmt.Errorf("%s: seven fields were expected: %q", path, lines.Text())
		}
		var numbers [7]int64
		for i, field := range fields {
			if i != 1 {
				if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
					return nil, err
				}
			}
		}
		found = append(found, porcupine.Operation{
			ClientId: int(numbers[0]),
			Input:    action{fields[1][0], int(numbers[2]), int(numbers[3]), numbers[6] == 1},
			Call:     numbers[4],
			Return:   numbers[5],
		})
	}
	return found, nil
}

func main() {
	limit := flag.Duration("limit", time.Minute, "when to give up on one history")
	flag.Parse()
	for _, path := range flag.Args() {
		history, err := operations(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		began := time.Now()
		verdict := porcupine.CheckOperationsTimeout(register, history, *limit)
		took := time.Since(began).Seconds()
		var usage syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
		fmt.Printf("%s %.6f %d %s\n", verdict, took, usage.Maxrss/1024, path)
	}
}
