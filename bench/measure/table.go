package main

import (
	"fmt"
	"io"
	"strings"
)

// A row is one line of a table of programs that watch the load.
type row struct {
	what  string
	cells []string
}

// A check is a number that was measured, with its limit.
type check struct {
	what  string
	value float64
	limit float64
	unit  string
	exact bool // the value must be the limit; otherwise at most that
}

func (c check) holds() bool {
	if c.exact {
		return c.value == c.limit
	}
	return c.value <= c.limit
}

func printRows(w io.Writer, head []string, rows []row) {
	printLine(w, head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	printLine(w, rule)
	for _, r := range rows {
		printLine(w, append([]string{r.what}, r.cells...))
	}
	fmt.Fprintln(w)
}

// printChecks prints all checks and returns how many do not hold.
func printChecks(w io.Writer, checks []check) (broken int) {
	printLine(w, []string{"", "measured", "limit", ""})
	printLine(w, []string{"---", "---:", "---:", "---"})
	for _, c := range checks {
		verdict, sign := "ok", "≤ "
		if c.exact {
			sign = "= "
		}
		if !c.holds() {
			verdict = "**BROKEN**"
			broken++
		}
		printLine(w, []string{c.what, number(c.value) + c.unit, sign + number(c.limit) + c.unit, verdict})
	}
	fmt.Fprintln(w)
	return broken
}

// number prints whole numbers whole and others with two places.
func number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func printLine(w io.Writer, cells []string) {
	fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
}
