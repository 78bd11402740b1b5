module github.com/skprobe/skprobe/bench

go 1.26.0
