using System;

namespace GameApi.Tests
{
    /// <summary>The real service at GAME_API_URL.</summary>
    internal static class Service
    {
        internal static string Url => Environment.GetEnvironmentVariable("GAME_API_URL");

        internal static RecordingTransport Wire { get; } = new RecordingTransport(new HttpClientTransport());

        internal static GameApiClient Client { get; } = new GameApiClient(Url, Wire);

        /// <summary>A name that no other test uses.</summary>
        internal static string Unique(string name) => name + "-" + Guid.NewGuid().ToString("N").Substring(0, 12);
    }
}
