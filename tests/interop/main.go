// Interop reads a running log with Go's own transparency-log packages, which
// share no code and no author with it, and checks what they can check:
//
//	interop -url http://127.0.0.1:7117 -vkey 'example.com/log+…' [SIZE[:ROOT]…]
//
// Each SIZE is one that the log has had; with its ROOT (base64, from a
// checkpoint that was kept) the log must still have that root there. Every
// check prints one line. The exit status is 1 if one fails, 2 on wrong usage.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	url := flag.String("url", "", "base URL of the log")
	vkey := flag.String("vkey", "", "verifier key of the log")
	flag.Parse()
	past, err := parsePast(flag.Args())
	if err == nil && (*url == "" || *vkey == "") {
		err = fmt.Errorf("-url and -vkey are needed")
	}
	verifier, keyErr := note.NewVerifier(*vkey)
	if err == nil {
		err = keyErr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(2)
	}
	if failed := run(os.Stdout, *url, verifier, past); failed > 0 {
		os.Exit(1)
	}
}

// run makes every check against the log at url, and counts those that failed.
func run(out io.Writer, url string, verifier note.Verifier, past []head) (failed int) {
	report := func(name, detail string, err error) {
		if err != nil {
			failed++
			fmt.Fprintf(out, "FAIL %-12s %v\n", name, err)
			return
		}
		fmt.Fprintf(out, "ok   %-12s %s\n", name, detail)
	}
	log := newLog(url, verifier)
	tree, err := log.checkpoint()
	report("checkpoint", fmt.Sprintf("size %d root %v", tree.N, tree.Hash), err)
	if err != nil {
		return failed
	}
	for _, check := range checks {
		detail, err := check.run(log, tree, past)
		report(check.name, detail, err)
	}
	return failed
}

// A head is what is known of an earlier state of the log.
type head struct {
	size int64
	root *tlog.Hash // nil if only the size is known
}

func parsePast(args []string) ([]head, error) {
	var past []head
	for _, arg := range args {
		head, err := parseHead(arg)
		if err != nil {
			return nil, fmt.Errorf("%q is not a SIZE[:ROOT]: %w", arg, err)
		}
		past = append(past, head)
	}
	return past, nil
}

func parseHead(arg string) (head, error) {
	size, root, known := strings.Cut(arg, ":")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || !known {
		return head{size: n}, err
	}
	hash, err := tlog.ParseHash(root)
	return head{size: n, root: &hash}, err
}
