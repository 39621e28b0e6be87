// Package talk is the Go side of the protocol in clients/__init__.py.
package talk

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// Timeout is how long anything may take that must come.
const Timeout = 30 * time.Second

// Record is one in either direction; encoding/json writes bytes as base64, and nil as null.
type Record struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Key       []byte `json:"key"`
	Value     []byte `json:"value"`
	Headers   []Pair `json:"headers"`
}

// Pair is a header.
type Pair struct {
	Name  string
	Value []byte
}

func (p Pair) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Name, p.Value}) }

func (p *Pair) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&p.Name, &p.Value})
}

// Round is a transaction.
type Round struct {
	Records []Record
	Commit  bool
}

// Task has the arguments of all tasks.
type Task struct {
	Do         string
	Topic      string
	Codec      string
	Idempotent bool
	Records    []Record
	Topics     map[string]map[int32]int64
	Committed  bool
	Group      string
	Offsets    map[int32]int64
	Metadata   string
	Protocol   string
	Partition  int32
	Timestamp  int64
	ID         string
	Rounds     []Round
	Input      string
	Output     string
	Until      map[int32]int64
	Configs    map[string]*string
	Offset     int64
	Partitions json.RawMessage // a number to create a topic, else a list
}

// Count of partitions, of the task "create".
func (t Task) Count() int32 {
	n, err := strconv.Atoi(string(t.Partitions))
	if err != nil {
		panic(err)
	}
	return int32(n)
}

// Outcome is what a task gives.
type Outcome map[string]any

var lines = make(chan []byte)

// Serve answers tasks until stdin ends.
func Serve(tasks map[string]func(Task) (Outcome, error)) {
	go func() {
		in := bufio.NewReaderSize(os.Stdin, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				os.Exit(0)
			}
			lines <- line
		}
	}()
	for line := range lines {
		outcome, err := run(tasks, line)
		if err != nil {
			Tell(Outcome{"failed": err.Error()})
			continue
		}
		if outcome == nil {
			outcome = Outcome{}
		}
		Tell(Outcome{"done": outcome})
	}
}

func run(tasks map[string]func(Task) (Outcome, error), line []byte) (outcome Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v\n%s", p, debug.Stack())
		}
	}()
	var task Task
	if err := json.Unmarshal(line, &task); err != nil {
		return nil, err
	}
	return tasks[task.Do](task)
}

// Tell writes a line.
func Tell(line Outcome) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(text, '\n'))
}

// Stop gives the line that ends a member.
func Stop() <-chan []byte { return lines }

// Version of a module that this program was built with.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "?"
}

// Reading collects records until every partition came to its last offset.
type Reading struct {
	Records map[string][]Record
	Left    map[string]map[int32]int64
	open    int
}

// NewReading of topic -> partition -> last offset.
func NewReading(topics map[string]map[int32]int64) *Reading {
	r := &Reading{map[string][]Record{}, topics, 0}
	for topic, partitions := range topics {
		r.Records[topic] = []Record{}
		r.open += len(partitions)
	}
	return r
}

// Add takes a record; offsets of a partition come in order.
func (r *Reading) Add(topic string, record Record) {
	r.Records[topic] = append(r.Records[topic], record)
	if last, ok := r.Left[topic][record.Partition]; ok && record.Offset >= last {
		delete(r.Left[topic], record.Partition)
		r.open--
	}
}

// Done when nothing is left.
func (r *Reading) Done() bool { return r.open == 0 }
