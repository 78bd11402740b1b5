// Package docs has pages of the documentation for the tests that run what they
// show.
package docs

import _ "embed"

// Cookbook is cookbook.md.
//
//go:embed cookbook.md
var Cookbook string
