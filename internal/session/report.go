package session

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
)

// A Report is what doctor tells. As JSON it has these keys.
type Report struct {
	// Works is yes, no, or partly: some tools only.
	Works   string `json:"works"`
	Verdict string `json:"verdict"`      // that, in a sentence
	Do      string `json:"do,omitempty"` // what would have to change
	Version string `json:"skprobe"`
	Kernel  string `json:"kernel,omitempty"`
	Arch    string `json:"arch"`
	// Backend is how records come: perf or tracefs.
	Backend string `json:"backend,omitempty"`
	// Layouts is where the layouts of structs come from.
	Layouts  string    `json:"layouts,omitempty"`
	Sections []section `json:"sections"`
	Tools    []tool    `json:"tools"`
}

type section struct {
	Title string  `json:"title"`
	Lines []check `json:"lines"`
}

type check struct {
	Topic  string `json:"topic"`
	Answer string `json:"answer"` // yes, no, unknown
	// Note: tracing does not depend on it.
	Note bool   `json:"note,omitempty"`
	Why  string `json:"why,omitempty"`
	Do   string `json:"do,omitempty"`
}

// A tool is what can be had of one here.
type tool struct {
	Tool   string   `json:"tool"`
	Answer string   `json:"answer"` // yes, no, or partly: without some columns or events
	Probes []string `json:"probes,omitempty"`
	// Without are columns that cannot be had.
	Without []string `json:"without,omitempty"`
	// WithoutEvents are events that cannot be had.
	WithoutEvents []string `json:"without_events,omitempty"`
	// NotHere are parts that this kernel does not have, and need not have.
	NotHere []string `json:"not_here,omitempty"`
	Why     string   `json:"why,omitempty"`
}

func (r *Report) add(title string, lines ...kernel.Line) {
	s := section{Title: title}
	for _, l := range lines {
		s.Lines = append(s.Lines, check{l.Topic, l.Answer.String(), l.Note, l.Why, l.Do})
	}
	r.Sections = append(r.Sections, s)
}

// obstacle is the first thing that must be and is not.
func (r *Report) obstacle() check {
	for _, s := range r.Sections {
		for _, c := range s.Lines {
			if c.Answer == "no" && !c.Note {
				return c
			}
		}
	}
	return check{}
}

// conclude sets the verdict.
func (r *Report) conclude() {
	var can []string
	for _, t := range r.Tools {
		if t.Answer != "no" {
			can = append(can, t.Tool)
		}
	}
	o := r.obstacle()
	switch {
	case len(can) == 0:
		r.Works, r.Do = "no", o.Do
		r.Verdict = "skprobe cannot work here as things are: " + cmp.Or(o.Why, "no tool can be used")
	case o.Topic != "":
		r.Works, r.Do = "partly", o.Do
		r.Verdict = fmt.Sprintf("only some tools work here (%s): %s", strings.Join(can, ", "), o.Why)
	default:
		r.Works = "yes"
		r.Verdict = fmt.Sprintf("skprobe works here: records come through %s, and layouts of structs from %s", r.Backend, r.Layouts)
	}
}

// JSON writes the report as one JSON object.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people: what it comes to, and then what that rests
// on.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n", r.Verdict)
	if r.Do != "" {
		fmt.Fprintf(&b, "What to do: %s.\n", r.Do)
	}
	width := 0
	for _, s := range r.Sections {
		for _, c := range s.Lines {
			width = max(width, len(c.Topic))
		}
	}
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "\n%s\n", s.Title)
		for _, c := range s.Lines {
			fmt.Fprintf(&b, "  %-4s  %-*s  %s\n", c.mark(), width, c.Topic, c.Why)
			if c.Do != "" {
				fmt.Fprintf(&b, "  %-4s  %-*s  → %s\n", "", width, "", c.Do)
			}
		}
	}
	if len(r.Tools) > 0 {
		b.WriteString("\nTools\n")
	}
	for _, t := range r.Tools {
		fmt.Fprintf(&b, "  %-4s  %-*s  %s\n", map[string]string{"yes": "ok", "partly": "note", "no": "NO"}[t.Answer], width, t.Tool, t.line())
	}
	b.WriteString("\nok: as it should be; NO: keeps skprobe from working; note: changes only what its line says; ?: could not be told.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (c check) mark() string {
	switch {
	case c.Answer == "yes":
		return "ok"
	case c.Note:
		return "note"
	case c.Answer == "no":
		return "NO"
	}
	return "?"
}

func (t tool) line() string {
	if t.Answer == "no" {
		return t.Why
	}
	s := strings.Join(t.Probes, ", ")
	if len(t.Without) > 0 {
		s += "; without the columns " + strings.Join(t.Without, ", ")
	}
	if len(t.WithoutEvents) > 0 {
		s += "; without the events " + strings.Join(t.WithoutEvents, ", ")
	}
	if len(t.NotHere) > 0 {
		s += "; not here: " + strings.Join(t.NotHere, "; ")
	}
	return s
}

// toolReport tells what a tool has, of what it was compiled to.
func toolReport(t *event.Tool, p *event.Program, err error) tool {
	r := tool{Tool: t.Name, Answer: "yes"}
	if err != nil {
		r.Answer, r.Why = "no", oneLine(err)
		var e *Error
		if errors.As(err, &e) {
			r.Why = oneLine(e.Err)
		}
		return r
	}
	for _, probe := range p.Probes {
		at := probe.Symbol
		if probe.EventProbe {
			at += " (event probe)"
		}
		if !slices.Contains(r.Probes, at) {
			r.Probes = append(r.Probes, at)
		}
	}
	for _, s := range p.Skipped {
		// Not what to do about it, which is told before.
		var e *Error
		text := oneLine(s)
		if errors.As(s, &e) {
			text = strings.TrimSuffix(text, "; "+e.Do)
		}
		if !slices.Contains(r.NotHere, text) {
			r.NotHere = append(r.NotHere, text)
		}
	}
	for _, err := range p.Without {
		var e *event.SkipError
		if errors.As(err, &e) {
			r.WithoutEvents = append(r.WithoutEvents, e.Source.Name)
		}
	}
	for _, c := range t.Fields() {
		if len(p.Missing) > 0 && p.Schema.Column(c.Name) < 0 && !slices.Contains(t.OnRequest(), c.Name) {
			r.Without = append(r.Without, c.Name)
		}
	}
	if len(r.Without) > 0 || len(r.WithoutEvents) > 0 {
		r.Answer = "partly"
	}
	return r
}

func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
