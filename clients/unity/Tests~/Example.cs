using System;
using System.Threading;
using System.Threading.Tasks;
using GameApi.Samples;

namespace GameApi.Tests
{
    /// <summary>Two players go through the lobby of the sample, against the service at GAME_API_URL.</summary>
    internal static class Example
    {
        internal static async Task RunAsync()
        {
            var client = Service.Connect(new HttpClientTransport());
            string suffix = Guid.NewGuid().ToString("N").Substring(0, 8);
            var ada = new Lobby(client, "lobby-" + suffix, Console.WriteLine);
            var bob = new Lobby(client, "lobby-" + suffix, Console.WriteLine);

            await ada.EnterAsync("ada-" + suffix, CancellationToken.None);
            await bob.EnterAsync("bob-" + suffix, CancellationToken.None);
            await ada.GetReadyAsync(CancellationToken.None);
            await bob.GetReadyAsync(CancellationToken.None);
            if (!await ada.StartAsync(CancellationToken.None))
            {
                await ada.RefreshAsync(CancellationToken.None);
                await ada.StartAsync(CancellationToken.None);
            }
            await bob.LeaveAsync(CancellationToken.None);
            await ada.RefreshAsync(CancellationToken.None);
            Console.WriteLine("'" + ada.Session.Name + "' is " + ada.Session.Status + " again, as it needs two players");
            await ada.LeaveAsync(CancellationToken.None);
        }
    }
}
