<?php
// Receives webhooks: `php -S 127.0.0.1:$PORT index.php`. From the environment: SECRET, and PROFILE,
// which decides how a delivery is verified and what its body looks like.
declare(strict_types=1);

const TOLERANCE_S = 300;
const TIME = '/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/D';

function header_of_request(string $name): string
{
    return $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '';
}

function verify_standard(string $secret, string $body): bool
{
    $id = header_of_request('webhook-id');
    $timestamp = header_of_request('webhook-timestamp');
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    if ($key === false || $key === '' || $id === '' || str_contains($id, '.')) {
        return false;
    }
    if (!preg_match('/^[0-9]+$/D', $timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    $mac = hash_hmac('sha256', "$id.$timestamp.$body", $key, true);
    foreach (explode(' ', header_of_request('webhook-signature')) as $entry) {
        if (hash_equals('v1,' . base64_encode($mac), $entry)) {
            return true;
        }
    }
    return false;
}

function verify(string $profile, string $secret, string $body): bool
{
    $hex = hash_hmac('sha256', $body, $secret);
    $signature = header_of_request('X-Webhook-Signature');
    return match ($profile) {
        'standard' => verify_standard($secret, $body),
        'entri', 'penr' => hash_equals($hex, $signature),
        'content-engine', 'auto-blogger' => hash_equals("sha256=$hex", $signature),
        'entro' => hash_equals("Bearer $secret", header_of_request('Authorization')),
    };
}

function is_envelope(mixed $content, string $name): bool
{
    return is_array($content) && array_keys($content) === [$name, 'timestamp', 'data']
        && is_string($content[$name]) && is_string($content['timestamp'])
        && preg_match(TIME, $content['timestamp']) === 1;
}

/** Does it look as the profile says? */
function is_well_formed(string $profile, mixed $content): bool
{
    $announced = fn (): bool => header_of_request('X-Webhook-Event') === $content['event'];
    $repeatable = header_of_request('Idempotency-Key') !== '';
    return match ($profile) {
        'standard' => is_envelope($content, 'type'),
        'entri', 'penr' => is_envelope($content, 'event') && $announced(),
        'content-engine' => is_envelope($content, 'event') && $announced() && $repeatable,
        'auto-blogger' => is_array($content) && is_string($content['event'] ?? null) && $repeatable,
        'entro' => true,
    };
}

/** The status, and the answer's JSON. */
function receive(string $profile, string $secret, string $body): array
{
    if (!verify($profile, $secret, $body)) {
        return [401, ['error' => 'not verified']];
    }
    try {
        $content = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    } catch (JsonException) {
        return [400, ['error' => 'the body is not JSON']];
    }
    if (!is_well_formed($profile, $content)) {
        return [400, ['error' => "not a delivery of $profile"]];
    }
    return [200, ['received' => true]];
}

$profile = (string) getenv('PROFILE');
$secret = (string) getenv('SECRET');
$profiles = ['standard', 'entri', 'penr', 'content-engine', 'auto-blogger', 'entro'];
if ($secret === '' || !in_array($profile, $profiles, true)) {
    [$status, $json] = [500, ['error' => 'set SECRET and PROFILE']];
} else {
    [$status, $json] = receive($profile, $secret, (string) file_get_contents('php://input'));
}
http_response_code($status);
header('Content-Type: application/json');
echo json_encode($json);
