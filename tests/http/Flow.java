import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Joins a session with a team and reads it back, with the HTTP client of the JDK and its defaults.
 *
 * <p>The client offers HTTP/2 with every request ("Upgrade: h2c") until a server accepts it.
 */
class Flow {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();
    private static String address;

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        send("POST", "/api/v1/players", "{\"username\": \"duke\", \"player_id\": \"duke\"}", 201);
        String created =
                send(
                        "POST",
                        "/api/v1/sessions",
                        "{\"name\": \"s\", \"game_mode\": \"duel\", \"max_players\": 2}",
                        201);
        Matcher id = Pattern.compile("\"session_id\":\"([^\"]+)\"").matcher(created);
        if (!id.find()) {
            throw new AssertionError("no session_id: " + created);
        }
        String session = "/api/v1/sessions/" + id.group(1);
        send("PUT", session + "/players/duke", "{\"team\": \"red\"}", 201);
        System.out.println(send("GET", session, "", 200));
    }

    private static String send(String method, String path, String body, int status)
            throws Exception {
        HttpRequest request =
                HttpRequest.newBuilder(URI.create(address + path))
                        .header("Content-Type", "application/json")
                        .method(
                                method,
                                body.isEmpty()
                                        ? BodyPublishers.noBody()
                                        : BodyPublishers.ofString(body))
                        .build();
        HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
        if (response.statusCode() != status) {
            throw new AssertionError(method + " " + path + ": " + response + response.body());
        }
        return response.body();
    }
}
