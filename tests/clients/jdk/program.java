// What the checks let the JDK's HTTP client do. Each line of standard input names a function and its arguments.

import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

class Program {
    static final String BASE_URL = "http://127.0.0.1:3456/v1";
    static final String MODEL = "claude-sonnet-4";
    static final String PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8Dw"
        + "HwAFAAH/iZk9HQAAAABJRU5ErkJggg==";
    static HttpClient client = HttpClient.newHttpClient();

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = input.readLine()) != null;) {
            List<Object> call = list(Json.read(line));
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("result", run((String) call.get(0), map(call.get(1))));
            } catch (Exception error) {
                answer.put("error", error.toString());
            }
            System.out.write((Json.write(answer) + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
    }

    static Object run(String name, Map<String, Object> given) throws Exception {
        String text = (String) given.get("text");
        switch (name) {
            case "whole": return content(message(post(body(List.of(user(text)))).body()));
            case "streamed": return streamed(text);
            case "turns": return turns(list(given.get("texts")));
            case "tools": return tools(text);
            case "image": return image(text);
            case "plan_limit": return post(body(List.of(user(text)))).statusCode();
            case "models": return models();
            case "version": return version(text);
            case "cancel": return cancel(text);
            case "structured": return structured(text);
            case "subscribed": return subscribed(text, Integer.MAX_VALUE);
            case "unsubscribed": return subscribed(text, 1);
            case "retry_after": return post(body(List.of(user(text)))).headers().firstValue("Retry-After").orElse("");
            default: throw new IllegalArgumentException(name);
        }
    }

    // --- what is asked

    static Map<String, Object> user(Object content) {
        return Map.of("role", "user", "content", content);
    }

    static Map<String, Object> body(List<Object> messages) {
        return new LinkedHashMap<>(Map.of("model", MODEL, "messages", messages));
    }

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(BASE_URL + path)).header("Content-Type", "application/json");
    }

    static HttpRequest chat(Object body) {
        return request("/chat/completions").POST(BodyPublishers.ofString(Json.write(body))).build();
    }

    static HttpResponse<String> post(Object body) throws Exception {
        return client.send(chat(body), BodyHandlers.ofString());
    }

    static Map<String, Object> message(String answer) {
        return map(map(list(map(Json.read(answer)).get("choices")).get(0)).get("message"));
    }

    static Object content(Map<String, Object> message) {
        return message.get("content");
    }

    static Object streamed(String text) throws Exception {
        Map<String, Object> body = body(List.of(user(text)));
        body.put("stream", true);
        HttpResponse<Stream<String>> response = client.send(chat(body), BodyHandlers.ofLines());
        return response.body()
            .filter(line -> line.startsWith("data: {"))
            .map(line -> list(map(Json.read(line.substring(6))).get("choices")))
            .filter(choices -> !choices.isEmpty())
            .map(choices -> map(map(choices.get(0)).get("delta")).get("content"))
            .filter(piece -> piece != null && !piece.equals(""))
            .collect(Collectors.toList());
    }

    static Object turns(List<Object> texts) throws Exception {
        List<Object> messages = new ArrayList<>(List.of(Map.of("role", "system", "content", "Be brief.")));
        List<Object> answers = new ArrayList<>();
        for (Object text : texts) {
            messages.add(user(text));
            Map<String, Object> answer = message(post(body(messages)).body());
            messages.add(answer);
            answers.add(content(answer));
        }
        return answers;
    }

    static Object tools(String text) throws Exception {
        List<Object> messages = new ArrayList<>(List.of(user(text)));
        while (true) {
            Map<String, Object> body = body(messages);
            body.put("tools", List.of(tool("weather", Map.of("city", "string")),
                tool("warmest", Map.of("a", "integer", "b", "integer"))));
            Map<String, Object> answer = message(post(body).body());
            messages.add(answer);
            if (answer.get("tool_calls") == null) {
                return content(answer);
            }
            for (Object each : list(answer.get("tool_calls"))) {
                Map<String, Object> call = map(each);
                Map<String, Object> function = map(call.get("function"));
                Map<String, Object> given = map(Json.read((String) function.get("arguments")));
                messages.add(Map.of("role", "tool", "tool_call_id", call.get("id"),
                    "content", result((String) function.get("name"), given)));
            }
        }
    }

    static Map<String, Object> tool(String name, Map<String, String> types) {
        Map<String, Object> properties = new LinkedHashMap<>();
        types.forEach((key, type) -> properties.put(key, Map.of("type", type)));
        Map<String, Object> parameters = Map.of("type", "object", "properties", properties);
        return Map.of("type", "function", "function", Map.of("name", name, "parameters", parameters));
    }

    static String result(String name, Map<String, Object> given) {
        if (name.equals("weather")) {
            return (given.get("city").equals("Zürich") ? 21 : 9) + " in " + given.get("city");
        }
        return String.valueOf(Math.max((Long) given.get("a"), (Long) given.get("b")));
    }

    static Object image(String text) throws Exception {
        List<Object> parts = List.of(Map.of("type", "text", "text", text),
            Map.of("type", "image_url", "image_url", Map.of("url", PIXEL)));
        return content(message(post(body(List.of(user(parts)))).body()));
    }

    static Object models() throws Exception {
        String answer = client.send(request("/models").GET().build(), BodyHandlers.ofString()).body();
        return list(map(Json.read(answer)).get("data")).stream().map(row -> map(row).get("id"))
            .collect(Collectors.toList());
    }

    static Object version(String text) throws Exception {
        client = HttpClient.newHttpClient(); // whose first request makes the offer
        return post(body(List.of(user(text)))).version().toString();
    }

    static Object cancel(String text) throws Exception {
        Map<String, Object> body = body(List.of(user(text)));
        body.put("stream", true);
        try (InputStream stream = client.send(chat(body), BodyHandlers.ofInputStream()).body()) {
            return (long) stream.readNBytes(1000).length;
        }
    }

    static Object structured(String text) throws Exception {
        Map<String, Object> types = Map.of("name", Map.of("type", "string"), "age", Map.of("type", "integer"));
        Map<String, Object> schema = Map.of("type", "object", "properties", types,
            "required", List.of("name", "age"), "additionalProperties", false);
        Map<String, Object> body = body(List.of(user(text)));
        body.put("response_format", Map.of("type", "json_schema",
            "json_schema", Map.of("name", "person", "strict", true, "schema", schema)));
        return Json.read((String) content(message(post(body).body())));
    }

    // As reactive libraries do: lines come as they are asked for, and the subscription can be cancelled.
    static Object subscribed(String text, int enough) throws Exception {
        Map<String, Object> body = body(List.of(user(text)));
        body.put("stream", true);
        Pieces pieces = new Pieces(enough);
        client.sendAsync(chat(body), BodyHandlers.fromLineSubscriber(pieces));
        return pieces.all.get(60, TimeUnit.SECONDS);
    }

    static class Pieces implements Flow.Subscriber<String> {
        final CompletableFuture<List<Object>> all = new CompletableFuture<>();
        private final List<Object> heard = new ArrayList<>();
        private final int enough;
        private Flow.Subscription subscription;

        Pieces(int enough) {
            this.enough = enough;
        }

        public void onSubscribe(Flow.Subscription subscription) {
            this.subscription = subscription;
            subscription.request(1);
        }

        public void onNext(String line) {
            if (line.startsWith("data: {")) {
                List<Object> choices = list(map(Json.read(line.substring(6))).get("choices"));
                Object piece = choices.isEmpty() ? null : map(map(choices.get(0)).get("delta")).get("content");
                if (piece != null && !piece.equals("")) {
                    heard.add(piece);
                }
            }
            if (heard.size() < enough) {
                subscription.request(1);
            } else {
                subscription.cancel();
                all.complete(heard);
            }
        }

        public void onError(Throwable error) {
            all.completeExceptionally(error);
        }

        public void onComplete() {
            all.complete(heard);
        }
    }

    // --- JSON, which the JDK has none of

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    static class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            return new Json(text).value();
        }

        private char next() {
            while (Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            return text.charAt(at);
        }

        private Object value() {
            switch (next()) {
                case '{': return object();
                case '[': return array();
                case '"': return string();
                default: return word();
            }
        }

        private Map<String, Object> object() {
            Map<String, Object> members = new LinkedHashMap<>();
            for (at++; next() != '}';) {
                String name = string();
                next();
                at++; // the colon
                members.put(name, value());
                if (next() == ',') {
                    at++;
                    next();
                }
            }
            at++;
            return members;
        }

        private List<Object> array() {
            List<Object> items = new ArrayList<>();
            for (at++; next() != ']';) {
                items.add(value());
                if (next() == ',') {
                    at++;
                }
            }
            at++;
            return items;
        }

        private String string() {
            StringBuilder read = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char letter = text.charAt(at);
                if (letter != '\\') {
                    read.append(letter);
                } else if (text.charAt(++at) == 'u') {
                    read.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16));
                    at += 4;
                } else {
                    int escape = "nrtbf".indexOf(text.charAt(at));
                    read.append(escape < 0 ? text.charAt(at) : "\n\r\t\b\f".charAt(escape));
                }
            }
            at++;
            return read.toString();
        }

        private Object word() {
            int begin = at;
            while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            String word = text.substring(begin, at);
            switch (word) {
                case "null": return null;
                case "true": return true;
                case "false": return false;
                default: return word.matches("-?\\d+") ? (Object) Long.parseLong(word) : Double.valueOf(word);
            }
        }

        static String write(Object value) {
            if (value instanceof Map) {
                return map(value).entrySet().stream()
                    .map(member -> quoted(member.getKey()) + ":" + write(member.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
            }
            if (value instanceof List) {
                return list(value).stream().map(Json::write).collect(Collectors.joining(",", "[", "]"));
            }
            return value instanceof String ? quoted((String) value) : String.valueOf(value);
        }

        private static String quoted(String text) {
            StringBuilder written = new StringBuilder("\"");
            for (char letter : text.toCharArray()) {
                if (letter == '"' || letter == '\\') {
                    written.append('\\').append(letter);
                } else if (letter < ' ') {
                    written.append(String.format("\\u%04x", (int) letter));
                } else {
                    written.append(letter);
                }
            }
            return written.append('"').toString();
        }
    }
}
