import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

class Chat {
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static final String BASE_URL = "http://127.0.0.1:3456/v1";

    public static void main(String[] arguments) throws IOException, InterruptedException {
        String body = """
            {"model": "claude-sonnet-4", "messages": [{"role": "user", "content": "Hello!"}]}""";
        HttpRequest request = HttpRequest.newBuilder(URI.create(BASE_URL + "/chat/completions"))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
        HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
        System.out.println(response.body());
    }
}
