package tools_test

import (
	"testing"

	"github.com/skprobe/skprobe/internal/cli/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, map[string]clitest.Program{"resolve": resolve}) }
