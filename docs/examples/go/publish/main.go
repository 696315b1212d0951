// Publishes an event: `go run ./publish`. Nothing but the standard library.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	tries          = 8
	answerBytesMax = 1 << 20
)

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}

var errAgain = errors.New("to be tried again")

// publish returns once the event is durable. key makes it one event, however often it is tried.
func publish(eventType string, data any, key string) (string, error) {
	body, err := json.Marshal(map[string]any{"type": eventType, "data": data})
	if err != nil {
		return "", err
	}
	for attempt := 0; attempt < tries; attempt++ {
		answer, wait, err := try(body, key)
		if !errors.Is(err, errAgain) {
			return answer, err
		}
		backoff := time.Duration(rand.Float64() * math.Min(30, math.Pow(2, float64(attempt))) * float64(time.Second))
		if wait < backoff {
			wait = backoff
		}
		time.Sleep(wait)
	}
	return "", fmt.Errorf("not published after %d tries", tries)
}

// try answers how long to wait at least if it has to be tried again.
func try(body []byte, key string) (string, time.Duration, error) {
	url := env("HOOKFLEET_URL", "http://127.0.0.1:8080") + "/v1/tenants/" + env("HOOKFLEET_TENANT", "default") + "/events"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("HOOKFLEET_TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := client.Do(request)
	if err != nil {
		return "", 0, errAgain // It may or may not be durable, and the same key finds out.
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	switch {
	case err != nil:
		return "", 0, errAgain
	case response.StatusCode < 300:
		return string(text), 0, nil
	case response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return "", time.Duration(seconds) * time.Second, errAgain
	default: // What was refused once is refused again.
		return "", 0, fmt.Errorf("refused: %s", text)
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	answer, err := publish("order.paid", map[string]int{"order": 42}, "order-42-paid")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
}
