package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// testLog serves a log of n entries that Go's packages made.
type testLog struct {
	size   int64
	leaves [][]byte
	hashes []tlog.Hash // in Go's storage order
	signer note.Signer
	vkey   string
}

func newTestLog(t *testing.T, size int64) *testLog {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "example.com/test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{size: size, signer: signer, vkey: vkey}
	for n := int64(0); n < size; n++ {
		leaf := []byte(fmt.Sprintf("entry %d", n))
		hashes, err := tlog.StoredHashes(n, leaf, tlog.HashReaderFunc(l.readHashes))
		if err != nil {
			t.Fatal(err)
		}
		l.leaves = append(l.leaves, leaf)
		l.hashes = append(l.hashes, hashes...)
	}
	return l
}

func (l *testLog) readHashes(indices []int64) (hashes []tlog.Hash, err error) {
	for _, index := range indices {
		hashes = append(hashes, l.hashes[index])
	}
	return hashes, nil
}

func (l *testLog) checkpoint() []byte {
	root, err := tlog.TreeHash(l.size, tlog.HashReaderFunc(l.readHashes))
	if err != nil {
		panic(err)
	}
	text := fmt.Sprintf("example.com/test\n%d\n%v\n", l.size, root)
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		panic(err)
	}
	return signed
}

func (l *testLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/checkpoint" {
		w.Write(l.checkpoint())
		return
	}
	rest := strings.TrimPrefix(r.URL.Path, "/tile/")
	tile, err := tlog.ParseTilePath("tile/8/" + strings.Replace(rest, "entries/", "data/", 1))
	body, covered := l.tile(tile)
	if err != nil || !covered {
		http.NotFound(w, r)
		return
	}
	w.Write(body)
}

func (l *testLog) tile(tile tlog.Tile) (body []byte, covered bool) {
	level := tile.L
	if level == entriesLevel {
		level = 0
	}
	if tile.N*tileWidth+int64(tile.W) > l.size>>(tileHeight*level) {
		return nil, false
	}
	if tile.L == entriesLevel {
		for _, leaf := range l.leaves[tile.N*tileWidth:][:tile.W] {
			body = binary.BigEndian.AppendUint16(body, uint16(len(leaf)))
			body = append(body, leaf...)
		}
		return body, true
	}
	body, err := tlog.ReadTileData(tile, tlog.HashReaderFunc(l.readHashes))
	return body, err == nil
}

// failedChecks runs all checks against handler and gives the names of those that fail.
func failedChecks(t *testing.T, handler http.Handler, vkey string, past ...head) string {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	count := run(&out, server.URL, verifier, past)
	var failed []string
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.HasPrefix(line, "FAIL") {
			failed = append(failed, strings.Fields(line)[1])
		}
	}
	if len(failed) != count {
		t.Errorf("%d failures counted, %d printed", count, len(failed))
	}
	t.Log(out.String())
	return strings.Join(failed, " ")
}

func TestSoundLogsPass(t *testing.T) {
	for _, size := range []int64{1, 2, 255, 256, 257, 700, 1000} {
		log := newTestLog(t, size)
		past := []head{{size: 1}, {size: (size + 1) / 2}, {size: size}}
		if failed := failedChecks(t, log, log.vkey, past...); failed != "" {
			t.Errorf("size %d: %s failed", size, failed)
		}
	}
}

func TestThreeLevelsOfTiles(t *testing.T) {
	log := newTestLog(t, 66_000)
	if failed := failedChecks(t, log, log.vkey, head{size: 65_536}, head{size: 65_537}); failed != "" {
		t.Errorf("%s failed", failed)
	}
}

// tampered passes what log answers through change, which may write another answer.
func tampered(log *testLog, change func(path string, body []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		log.ServeHTTP(recorded, r)
		body := change(r.URL.Path, recorded.Body.Bytes())
		w.WriteHeader(recorded.Code)
		w.Write(body)
	})
}

func flipLast(body []byte) []byte {
	body[len(body)-1] ^= 1
	return body
}

func TestUnsoundLogsFail(t *testing.T) {
	log := newTestLog(t, 300)
	cases := []struct {
		name   string
		change func(path string, body []byte) []byte
		want   string
	}{
		{"an entry is another", func(path string, body []byte) []byte {
			if path == "/tile/entries/001.p/44" {
				return flipLast(body)
			}
			return body
		}, "entries inclusion"},
		{"a tile is another", func(path string, body []byte) []byte {
			if path == "/tile/0/001.p/44" {
				return flipLast(body)
			}
			return body
		}, "root entries inclusion consistency"},
		{"a bundle has surplus bytes", func(path string, body []byte) []byte {
			if path == "/tile/entries/000" {
				return append(body, 0)
			}
			return body
		}, "entries inclusion"},
		{"a narrow tile is another", func(path string, body []byte) []byte {
			if path == "/tile/0/000.p/7" {
				return flipLast(body)
			}
			return body
		}, "partial"},
		{"the checkpoint is another", func(path string, body []byte) []byte {
			if path == "/checkpoint" {
				return []byte(strings.Replace(string(body), "\n300\n", "\n299\n", 1))
			}
			return body
		}, "checkpoint"},
	}
	for _, c := range cases {
		if failed := failedChecks(t, tampered(log, c.change), log.vkey, head{size: 257}); failed != c.want {
			t.Errorf("%s: %q failed, want %q", c.name, failed, c.want)
		}
	}
}

func TestAnotherKeyFails(t *testing.T) {
	log, other := newTestLog(t, 3), newTestLog(t, 3)
	if failed := failedChecks(t, log, other.vkey); failed != "checkpoint" {
		t.Errorf("%q failed", failed)
	}
}

func TestAnotherPastFails(t *testing.T) {
	log := newTestLog(t, 9)
	if failed := failedChecks(t, log, log.vkey, head{size: 5, root: &tlog.Hash{}}); failed != "consistency" {
		t.Errorf("%q failed", failed)
	}
	if failed := failedChecks(t, log, log.vkey, head{size: 10}); failed != "consistency" {
		t.Errorf("%q failed", failed)
	}
}

func TestTilesBeyondTheCheckpointFail(t *testing.T) {
	log := newTestLog(t, 9)
	generous := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/checkpoint" || !strings.HasSuffix(r.URL.Path, ".p/10") {
			log.ServeHTTP(w, r)
		}
	})
	if failed := failedChecks(t, generous, log.vkey); failed != "absent" {
		t.Errorf("%q failed", failed)
	}
}

func TestPathsAreThoseOfC2SP(t *testing.T) {
	cases := map[string]tlog.Tile{
		"/tile/0/000":                  {H: 8, L: 0, N: 0, W: 256},
		"/tile/2/x001/x234/067.p/1":    {H: 8, L: 2, N: 1234067, W: 1},
		"/tile/entries/x001/000.p/255": {H: 8, L: -1, N: 1000, W: 255},
	}
	for want, tile := range cases {
		if got := tilePath(tile); got != want {
			t.Errorf("%v: %s, want %s", tile, got, want)
		}
	}
}

func TestHeadsAreParsedStrictly(t *testing.T) {
	if _, err := parsePast([]string{"5", "6:" + tlog.Hash{}.String()}); err != nil {
		t.Error(err)
	}
	for _, arg := range []string{"", "x", "5:", "5:abc"} {
		if _, err := parsePast([]string{arg}); err == nil {
			t.Errorf("%q was accepted", arg)
		}
	}
}
