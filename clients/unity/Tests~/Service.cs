using System;

namespace GameApi.Tests
{
    /// <summary>The real service at GAME_API_URL.</summary>
    internal static class Service
    {
        internal static string Url => Environment.GetEnvironmentVariable("GAME_API_URL");

        internal static RecordingTransport Wire { get; } = new RecordingTransport(new HttpClientTransport());

        /// <summary>A token of the role <c>admin</c>, or null if the service does not need one.</summary>
        internal static string Token { get; } = Environment.GetEnvironmentVariable("GAME_API_TOKEN");

        internal static GameApiClient Client { get; } = Connect(Wire);

        internal static GameApiClient Connect(ITransport transport) =>
            new GameApiClient(Url, transport, null, Token == null ? null : new TokenSource(Token));

        /// <summary>A name that no other test uses.</summary>
        internal static string Unique(string name) => name + "-" + Guid.NewGuid().ToString("N").Substring(0, 12);
    }
}
