// promql judges Prometheus rules and queries with Prometheus' own parsers.
//
// Standard input is a JSON object {"rules": [text of a rule file, ...], "queries": [text, ...]};
// standard output is a JSON list of {"of": what, "problem": why}, empty when all are well.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type asked struct {
	Rules   []string `json:"rules"`
	Queries []string `json:"queries"`
}

type finding struct {
	Of      string `json:"of"`
	Problem string `json:"problem"`
}

func judge(a asked) []finding {
	found := []finding{}
	options := parser.NewParser(parser.Options{})
	for _, text := range a.Rules {
		_, problems := rulefmt.Parse([]byte(text), false, model.UTF8Validation, options, slog.Default())
		for _, problem := range problems {
			found = append(found, finding{text, problem.Error()})
		}
	}
	for _, text := range a.Queries {
		if _, problem := options.ParseExpr(text); problem != nil {
			found = append(found, finding{text, problem.Error()})
		}
	}
	return found
}

func main() {
	var a asked
	if err := json.NewDecoder(os.Stdin).Decode(&a); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(judge(a)); err != nil {
		os.Exit(2)
	}
}
