package event

import "time"

// A Counting is how events are counted, instead of shown one by one.
type Counting struct {
	// By are the columns that tell rows apart, those common to all tools too. Without any there is one row.
	By []string
	// Some: of By only those columns that there are.
	Some bool
	// Sums are columns whose numbers are added up in each row.
	Sums []Sum
	// Hist is a column of whose numbers each row has a histogram, "" for none.
	Hist string
	// Every is the time after which rows are shown and counting begins anew; 0: they are shown once, at the end.
	Every time.Duration
	// Total: what is shown each Every is shown of the whole run too, at the end.
	Total bool
	// Top is how many rows are shown, 0 for all.
	Top int
	// Order is the column of the rows by which they are sorted, the largest first; "" for the sums, added up, and without
	// sums the count.
	Order     string
	Ascending bool // the smallest first
	// Redraw: on a terminal, each table takes the place of the last.
	Redraw bool
}

// A Sum is a column whose numbers are added up.
type Sum struct {
	Field string // what is added up
	Name  string // of the sum's column
}
