package pcapfilter

import "strings"

// A cond is a condition in the words of --where.
type cond struct {
	text string
	or   bool // the text is alternatives, which need parentheses in a conjunction
}

func test(text string) cond { return cond{text: text} }

func and(all ...cond) cond {
	var parts []string
	for _, c := range all {
		switch {
		case c.text == "":
		case c.or && len(all) > 1:
			parts = append(parts, "("+c.text+")")
		default:
			parts = append(parts, c.text)
		}
	}
	return cond{text: strings.Join(parts, " && ")}
}

func or(all ...cond) cond {
	if len(all) == 1 {
		return all[0]
	}
	var parts []string
	for _, c := range all {
		parts = append(parts, c.text)
	}
	return cond{text: strings.Join(parts, " || "), or: true}
}

// not is true also where what c is about is absent, as the opposite of a
// primitive is in tcpdump.
func not(c cond) cond { return cond{text: "!(" + c.text + ")"} }
