package output

import (
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain tells which bytes stand for themselves in every format: printable
// ASCII without the quote and the backslash.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// isPlain tells whether text can be copied as it is.
func isPlain(s []byte) bool {
	for _, c := range s {
		if !plain[c] {
			return false
		}
	}
	return true
}

// appendQuoted appends text as a JSON string. Bytes that are not UTF-8 become
// U+FFFD. Control characters are escaped, also those above ASCII, so that
// lines can be looked at in a terminal whatever a process calls itself.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	if isPlain(s) {
		dst = append(dst, s...)
	} else {
		dst = appendEscaped(dst, s)
	}
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	for i, r := range string(s) {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r < 0x20 || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		case r == utf8.RuneError:
			dst = append(dst, "\ufffd"...)
		default:
			dst = append(dst, s[i:i+utf8.RuneLen(r)]...)
		}
	}
	return dst
}

// appendVisible appends text for people: what does not print (control and
// formatting characters, bytes that are not UTF-8) is shown as \x1b, byte by
// byte, so that no name can write terminal escapes, break the line or turn
// its direction. width is the number of characters appended.
func appendVisible(dst, text []byte) (out []byte, width int) {
	if isPlain(text) {
		return append(dst, text...), len(text)
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if unicode.IsPrint(r) && !(r == utf8.RuneError && n == 1) {
			dst = append(dst, text[i:i+n]...)
			width++
			i += n
			continue
		}
		for ; n > 0; n-- {
			c := text[i]
			dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			width += 4
			i++
		}
	}
	return dst, width
}
